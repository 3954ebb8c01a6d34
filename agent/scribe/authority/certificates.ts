// SPDX-License-Identifier: Apache-2.0

/** X.509 certificates (RFC 5280) for the example authority: its CA, its TLS leaf, its time-stamp signer. */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";

const OID = {
  commonName: "2.5.4.3",
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
  subjectAltName: "2.5.29.17",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  timeStamping: "1.3.6.1.5.5.7.3.8",
} as const;

const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const DAY_MS = 86_400_000;

export interface KeyedCertificate {
  readonly certificate: pkijs.Certificate;
  readonly privateKey: CryptoKey;
}

export type Purpose =
  | { readonly kind: "ca" }
  | { readonly kind: "tls"; readonly host: string }
  | { readonly kind: "timestamp" };

/** Bits of KeyUsage (RFC 5280 §4.2.1.3), first bit highest. */
const KEY_USAGE = { ca: 0b0000_0110, leaf: 0b1000_0000 } as const;

/** @param issuer absent: self-signed */
export async function issueCertificate(
  name: string,
  purpose: Purpose,
  issuer: KeyedCertificate | null,
  now: number,
): Promise<KeyedCertificate> {
  const keys = await crypto.subtle.generateKey(CURVE, true, ["sign", "verify"]);
  const certificate = new pkijs.Certificate();
  certificate.version = 2;
  certificate.serialNumber = new asn1js.Integer({ valueHex: randomSerial() });
  setName(certificate.subject, name);
  if (issuer === null) setName(certificate.issuer, name);
  else certificate.issuer = issuer.certificate.subject;
  certificate.notBefore.value = new Date(now - DAY_MS);
  certificate.notAfter.value = new Date(now + (purpose.kind === "ca" ? 3650 : 825) * DAY_MS);
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey);
  certificate.extensions = extensionsFor(purpose);
  await certificate.sign(issuer?.privateKey ?? keys.privateKey, "SHA-256");
  return { certificate, privateKey: keys.privateKey };
}

function setName(target: pkijs.RelativeDistinguishedNames, name: string): void {
  target.typesAndValues.push(
    new pkijs.AttributeTypeAndValue({
      type: OID.commonName,
      value: new asn1js.Utf8String({ value: name }),
    }),
  );
}

/** Positive, 120 random bits (RFC 5280 allows up to 20 octets). */
function randomSerial(): ArrayBuffer {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = 0x4b;
  return bytes.buffer;
}

function extension(
  extnID: string,
  critical: boolean,
  value: { toBER(): ArrayBuffer },
): pkijs.Extension {
  return new pkijs.Extension({ extnID, critical, extnValue: value.toBER() });
}

function extensionsFor(purpose: Purpose): pkijs.Extension[] {
  const usage = (bits: number) =>
    extension(
      OID.keyUsage,
      true,
      new asn1js.BitString({
        valueHex: new Uint8Array([bits]).buffer,
        unusedBits: bits & 1 ? 0 : 1,
      }),
    );
  const purposeOf = (oid: string) =>
    // A time-stamping certificate must have this one purpose, marked critical (RFC 3161 §2.3).
    extension(
      OID.extendedKeyUsage,
      oid === OID.timeStamping,
      new pkijs.ExtKeyUsage({ keyPurposes: [oid] }).toSchema(),
    );
  switch (purpose.kind) {
    case "ca":
      return [
        extension(
          OID.basicConstraints,
          true,
          new pkijs.BasicConstraints({ cA: true, pathLenConstraint: 0 }).toSchema(),
        ),
        usage(KEY_USAGE.ca),
      ];
    case "tls":
      return [
        usage(KEY_USAGE.leaf),
        purposeOf(OID.serverAuth),
        extension(
          OID.subjectAltName,
          false,
          new pkijs.GeneralNames({
            names: [
              new pkijs.GeneralName({ type: 2, value: purpose.host }),
              new pkijs.GeneralName({
                type: 7,
                value: new asn1js.OctetString({
                  valueHex: new Uint8Array([127, 0, 0, 1]).buffer,
                }),
              }),
            ],
          }).toSchema(),
        ),
      ];
    case "timestamp":
      return [usage(KEY_USAGE.leaf), purposeOf(OID.timeStamping)];
  }
}

/** PEM (RFC 7468). */
export function toPem(label: string, der: ArrayBuffer): string {
  const text = new Uint8Array(der).toBase64().replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${text}\n-----END ${label}-----\n`;
}

/** @throws {SyntaxError} when it is not base64 between PEM lines */
export function fromPem(pem: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(pem.replace(/-----[A-Z ]+-----/g, "").replace(/\s/g, ""));
}

export async function encodeKey(key: CryptoKey): Promise<string> {
  return toPem("PRIVATE KEY", await crypto.subtle.exportKey("pkcs8", key));
}

export async function decode(certificate: string, key: string): Promise<KeyedCertificate> {
  return {
    certificate: pkijs.Certificate.fromBER(fromPem(certificate).buffer),
    privateKey: await crypto.subtle.importKey("pkcs8", fromPem(key), CURVE, true, ["sign"]),
  };
}

export function encodeCertificate(certificate: pkijs.Certificate): string {
  return toPem("CERTIFICATE", certificate.toSchema(true).toBER());
}
