// SPDX-License-Identifier: Apache-2.0

/**
 * Issues X.509 certificates (RFC 5280) with ECDSA over P-256, as one authority and its servers need them. By
 * hand, because a library for it costs the process that holds it 20 times as much memory as this.
 */
import {
  bitString,
  explicit,
  implicit,
  integer,
  octetString,
  oid,
  pem,
  sequence,
  set,
  utcTime,
  utf8,
  yes,
} from "./der.ts";

const OID = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  alternativeNames: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

/** The order of P-256's base point (FIPS 186-4 D.1.2.3). */
export const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

export interface Issuer {
  readonly commonName: string;
  /** Signs; ECDSA P-256. */
  readonly key: CryptoKey;
  /** DER of its SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** At most 20 bytes; as a number never negative. */
  readonly serial: Uint8Array;
  /** Milliseconds since the epoch, both before 2050. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** An authority that signs servers only, or a server with this DNS name or address. */
  readonly role: { readonly kind: "authority" } | {
    readonly kind: "server";
    readonly host: string;
  };
}

/** @returns PEM */
export async function issueCertificate(
  issuer: Issuer,
  request: CertificateRequest,
): Promise<string> {
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const body = sequence(
    explicit(0, integer(Uint8Array.of(2))),
    integer(request.serial),
    algorithm,
    name(issuer.commonName),
    sequence(utcTime(request.notBefore), utcTime(request.notAfter)),
    name(request.commonName),
    request.publicKey,
    explicit(3, sequence(...await extensions(issuer, request))),
  );
  const raw = new Uint8Array(
    await crypto.subtle.sign(
      { name: "ECDSA", hash: "SHA-256" },
      issuer.key,
      body as Uint8Array<ArrayBuffer>,
    ),
  );
  const signature = sequence(integer(raw.subarray(0, 32)), integer(raw.subarray(32)));
  return pem("CERTIFICATE", sequence(body, algorithm, bitString(signature)));
}

function name(commonName: string): Uint8Array {
  const part = (type: string, text: string) => set(sequence(oid(type), utf8(text)));
  return sequence(part(OID.organization, "Bureau"), part(OID.commonName, commonName));
}

async function extensions(issuer: Issuer, request: CertificateRequest): Promise<Uint8Array[]> {
  const extension = (id: string, value: Uint8Array) => sequence(oid(id), octetString(value));
  const critical = (id: string, value: Uint8Array) => sequence(oid(id), yes(), octetString(value));
  const both = [
    extension(OID.subjectKeyId, octetString(await keyId(request.publicKey))),
    extension(
      OID.authorityKeyId,
      sequence(implicit(0, await keyId(issuer.publicKey))),
    ),
  ];
  if (request.role.kind === "authority") {
    return [
      // CA, and no authority below it.
      critical(OID.basicConstraints, sequence(yes(), integer(Uint8Array.of(0)))),
      // keyCertSign (bit 5).
      critical(OID.keyUsage, bitString(Uint8Array.of(0b0000_0100), 2)),
      ...both,
    ];
  }
  return [
    critical(OID.basicConstraints, sequence()),
    // digitalSignature (bit 0).
    critical(OID.keyUsage, bitString(Uint8Array.of(0b1000_0000), 7)),
    extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuth))),
    extension(OID.alternativeNames, sequence(alternativeName(request.role.host))),
    ...both,
  ];
}

/** Any hash does (RFC 5280 §4.2.1.2): it only has to be the same in both places. */
async function keyId(publicKey: Uint8Array): Promise<Uint8Array> {
  const hash = await crypto.subtle.digest("SHA-256", publicKey as Uint8Array<ArrayBuffer>);
  return new Uint8Array(hash, 0, 20);
}

function alternativeName(host: string): Uint8Array {
  const address = addressBytes(host);
  return address === null ? implicit(2, new TextEncoder().encode(host)) : implicit(7, address);
}

/** The bytes of an IPv4 or IPv6 address as `URL` writes it, null for a name. */
export function addressBytes(host: string): Uint8Array | null {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(host)) return Uint8Array.from(host.split(".").map(Number));
  if (!host.includes(":")) return null;
  const url = URL.parse(`http://[${host}]/`);
  if (url === null) return null;
  const [before, after] = url.hostname.slice(1, -1).split("::");
  const groups = (text: string | undefined) => (text ?? "") === "" ? [] : text!.split(":");
  const head = groups(before);
  const tail = groups(after);
  const all = [...head, ...Array(8 - head.length - tail.length).fill("0"), ...tail];
  return Uint8Array.from(all.flatMap((group) => {
    const value = parseInt(group, 16);
    return [value >> 8, value & 0xff];
  }));
}
