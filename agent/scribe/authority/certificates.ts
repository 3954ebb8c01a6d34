// SPDX-License-Identifier: Apache-2.0

/** The authority's small PKI: its own CA, a TLS certificate and a time-stamping certificate. */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";

const KEY = { name: "ECDSA", namedCurve: "P-256" } as const;
const DAY_MS = 86_400_000;

const OID = {
  commonName: "2.5.4.3",
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
  subjectAlternativeName: "2.5.29.17",
  subjectKeyIdentifier: "2.5.29.14",
  authorityKeyIdentifier: "2.5.29.35",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  timeStamping: "1.3.6.1.5.5.7.3.8",
} as const;

/** A certificate with the key it was made for. */
export interface Identity {
  readonly certificate: pkijs.Certificate;
  readonly key: CryptoKey;
}

export type Purpose =
  | { readonly kind: "ca" }
  | {
    readonly kind: "server";
    readonly names: readonly string[];
    readonly addresses: readonly Uint8Array[];
  }
  | { readonly kind: "time-stamping" };

export interface IssueOptions {
  readonly commonName: string;
  readonly purpose: Purpose;
  readonly days: number;
  /** Absent: self-signed. */
  readonly issuer?: Identity;
  readonly now?: number;
}

/** Makes a P-256 key and a certificate for it. */
export async function issue(options: IssueOptions): Promise<Identity> {
  const pair = await crypto.subtle.generateKey(KEY, true, ["sign", "verify"]) as CryptoKeyPair;
  const now = options.now ?? Date.now();
  const certificate = new pkijs.Certificate({ version: 2 });
  certificate.serialNumber = randomSerial();
  certificate.subject.typesAndValues.push(commonName(options.commonName));
  if (options.issuer === undefined) {
    certificate.issuer.typesAndValues.push(commonName(options.commonName));
  } else certificate.issuer = options.issuer.certificate.subject;
  // Clocks differ a little between machines.
  certificate.notBefore.value = new Date(now - 3_600_000);
  certificate.notAfter.value = new Date(now + options.days * DAY_MS);
  await certificate.subjectPublicKeyInfo.importKey(pair.publicKey);
  const own = await keyIdentifier(certificate);
  const issuers = options.issuer === undefined
    ? own
    : await keyIdentifier(options.issuer.certificate);
  certificate.extensions = [
    ...purposeExtensions(options.purpose),
    extension(OID.subjectKeyIdentifier, new asn1js.OctetString({ valueHex: own }), false),
    extension(
      OID.authorityKeyIdentifier,
      new asn1js.Sequence({
        value: [
          new asn1js.Primitive({ idBlock: { tagClass: 3, tagNumber: 0 }, valueHex: issuers }),
        ],
      }),
      false,
    ),
  ];
  await certificate.sign(options.issuer?.key ?? pair.privateKey, "SHA-256");
  return { certificate, key: pair.privateKey };
}

function purposeExtensions(purpose: Purpose): pkijs.Extension[] {
  const isCa = purpose.kind === "ca";
  const extensions = [
    extension(
      OID.basicConstraints,
      new asn1js.Sequence({
        value: isCa ? [new asn1js.Boolean({ value: true }), new asn1js.Integer({ value: 0 })] : [],
      }),
      true,
    ),
    // keyCertSign and cRLSign, or digitalSignature alone (RFC 5280 §4.2.1.3).
    extension(
      OID.keyUsage,
      new asn1js.BitString({
        valueHex: new Uint8Array([isCa ? 0x06 : 0x80]).buffer,
        unusedBits: isCa ? 1 : 7,
      }),
      true,
    ),
  ];
  if (purpose.kind === "server") {
    extensions.push(extendedKeyUsage(OID.serverAuth, false));
    const names = [
      ...purpose.names.map((name) =>
        new asn1js.Primitive({
          idBlock: { tagClass: 3, tagNumber: 2 },
          valueHex: copyOf(new TextEncoder().encode(name)),
        })
      ),
      ...purpose.addresses.map((address) =>
        new asn1js.Primitive({
          idBlock: { tagClass: 3, tagNumber: 7 },
          valueHex: copyOf(address),
        })
      ),
    ];
    extensions.push(
      extension(OID.subjectAlternativeName, new asn1js.Sequence({ value: names }), false),
    );
  }
  // RFC 3161 §2.3: this usage alone, and critical.
  if (purpose.kind === "time-stamping") extensions.push(extendedKeyUsage(OID.timeStamping, true));
  return extensions;
}

function extendedKeyUsage(usage: string, critical: boolean): pkijs.Extension {
  const value = new asn1js.Sequence({ value: [new asn1js.ObjectIdentifier({ value: usage })] });
  return extension(OID.extendedKeyUsage, value, critical);
}

function extension(id: string, value: asn1js.BaseBlock, critical: boolean): pkijs.Extension {
  return new pkijs.Extension({ extnID: id, critical, extnValue: value.toBER(false) });
}

function commonName(name: string): pkijs.AttributeTypeAndValue {
  return new pkijs.AttributeTypeAndValue({
    type: OID.commonName,
    value: new asn1js.Utf8String({ value: name }),
  });
}

async function keyIdentifier(certificate: pkijs.Certificate): Promise<ArrayBuffer> {
  const key = certificate.subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView;
  return (await crypto.subtle.digest("SHA-256", copyOf(key))).slice(0, 20);
}

/** Positive, 128 random bits: serial numbers say nothing about how many were issued. */
export function randomSerial(): asn1js.Integer {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return new asn1js.Integer({ valueHex: bytes.buffer });
}

export function copyOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

export function encodePem(label: string, der: ArrayBuffer): string {
  const lines = new Uint8Array(der).toBase64().match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

export function certificatePem({ certificate }: Identity): string {
  return encodePem("CERTIFICATE", certificate.toSchema(true).toBER(false));
}

export async function keyPem({ key }: Identity): Promise<string> {
  return encodePem("PRIVATE KEY", await crypto.subtle.exportKey("pkcs8", key));
}

/** Reads back what `certificatePem` and `keyPem` wrote. */
export async function readIdentity(certificate: string, key: string): Promise<Identity> {
  return {
    certificate: pkijs.Certificate.fromBER(decodePem(certificate)),
    key: await crypto.subtle.importKey("pkcs8", decodePem(key), KEY, true, ["sign"]),
  };
}

function decodePem(pem: string): ArrayBuffer {
  return Uint8Array.fromBase64(pem.replace(/-----[^-]+-----/g, "").replace(/\s/g, "")).buffer;
}
