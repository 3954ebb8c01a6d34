// SPDX-License-Identifier: Apache-2.0

/** Answers RFC 3161 time-stamp queries. */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import { copyOf, type Identity, randomSerial } from "./certificates.ts";

/** An example's policy, below the UUID arc (X.667), so that it collides with nobody's. */
const POLICY = "2.25.18264092.1";

const HASH_BYTES: Readonly<Record<string, number>> = {
  "2.16.840.1.101.3.4.2.1": 32,
  "2.16.840.1.101.3.4.2.2": 48,
  "2.16.840.1.101.3.4.2.3": 64,
};
const SHA256 = "2.16.840.1.101.3.4.2.1";
const OID = {
  signedData: "1.2.840.113549.1.7.2",
  tstInfo: "1.2.840.113549.1.9.16.1.4",
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47",
} as const;

/** Bits of PKIFailureInfo (RFC 3161 §2.4.2). */
const FAILURE = { badAlg: 0, badRequest: 2, badDataFormat: 5, unacceptedPolicy: 15 } as const;

/** @returns the DER of a TimeStampResp: granted, or a rejection with its reason; never throws on bad input */
export async function answerQuery(
  query: Uint8Array,
  stamper: Identity,
  now: number,
): Promise<Uint8Array<ArrayBuffer>> {
  let request: pkijs.TimeStampReq;
  try {
    request = pkijs.TimeStampReq.fromBER(copyOf(query));
  } catch {
    return rejection(FAILURE.badDataFormat, "the query is not a TimeStampReq");
  }
  if (request.version !== 1) return rejection(FAILURE.badRequest, "the query is not version 1");
  const { hashAlgorithm, hashedMessage } = request.messageImprint;
  const expected = HASH_BYTES[hashAlgorithm.algorithmId];
  if (expected === undefined) {
    return rejection(FAILURE.badAlg, "the hash is not SHA-256, SHA-384 or SHA-512");
  }
  if (hashedMessage.valueBlock.valueHexView.length !== expected) {
    return rejection(FAILURE.badDataFormat, "the hash has the wrong length");
  }
  if (request.reqPolicy !== undefined && request.reqPolicy !== POLICY) {
    return rejection(FAILURE.unacceptedPolicy, "the policy is not this authority's");
  }
  const info = new pkijs.TSTInfo({
    version: 1,
    policy: POLICY,
    messageImprint: request.messageImprint,
    serialNumber: randomSerial(),
    // DER wants no trailing zeros in fractions of a second: whole seconds have none.
    genTime: new Date(Math.floor(now / 1000) * 1000),
    accuracy: new pkijs.Accuracy({ seconds: 1 }),
    ...(request.nonce === undefined ? {} : { nonce: request.nonce }),
  });
  const token = await signInfo(
    info.toSchema().toBER(false),
    stamper,
    request.certReq === true,
  );
  return new Uint8Array(
    new asn1js.Sequence({ value: [statusInfo(0), token.toSchema()] }).toBER(false),
  );
}

/** CMS SignedData over the TSTInfo (RFC 3161 §2.4.2, RFC 5816 for the certificate's hash). */
async function signInfo(
  info: ArrayBuffer,
  { certificate, key }: Identity,
  withCertificate: boolean,
): Promise<pkijs.ContentInfo> {
  const content = new pkijs.EncapsulatedContentInfo({ eContentType: OID.tstInfo });
  // Set afterwards: the constructor would turn it into a constructed string, which is not DER.
  content.eContent = new asn1js.OctetString({ valueHex: info });
  const certificateHash = await crypto.subtle.digest(
    "SHA-256",
    certificate.toSchema(true).toBER(false),
  );
  const attributes = [
    attribute(OID.contentType, new asn1js.ObjectIdentifier({ value: OID.tstInfo })),
    attribute(
      OID.messageDigest,
      new asn1js.OctetString({ valueHex: await crypto.subtle.digest("SHA-256", info) }),
    ),
    // SigningCertificateV2 { certs { ESSCertIDv2 { certHash } } }, with SHA-256 as its default.
    attribute(
      OID.signingCertificateV2,
      sequence(sequence(sequence(new asn1js.OctetString({ valueHex: certificateHash })))),
    ),
  ].sort(byEncoding);
  const signer = new pkijs.SignerInfo({
    version: 1,
    sid: new pkijs.IssuerAndSerialNumber({
      issuer: certificate.issuer,
      serialNumber: certificate.serialNumber,
    }),
    digestAlgorithm: new pkijs.AlgorithmIdentifier({ algorithmId: SHA256 }),
    signedAttrs: new pkijs.SignedAndUnsignedAttributes({ type: 0, attributes }),
  });
  const signed = new pkijs.SignedData({
    version: 3,
    digestAlgorithms: [new pkijs.AlgorithmIdentifier({ algorithmId: SHA256 })],
    encapContentInfo: content,
    signerInfos: [signer],
    ...(withCertificate ? { certificates: [certificate] } : {}),
  });
  await signed.sign(key, 0, "SHA-256", info);
  return new pkijs.ContentInfo({ contentType: OID.signedData, content: signed.toSchema(true) });
}

function attribute(type: string, value: asn1js.BaseBlock): pkijs.Attribute {
  return new pkijs.Attribute({ type, values: [value] });
}

function sequence(...value: asn1js.BaseBlock[]): asn1js.Sequence {
  return new asn1js.Sequence({ value });
}

/** DER orders the members of a SET OF by their encoding. */
function byEncoding(first: pkijs.Attribute, second: pkijs.Attribute): number {
  const a = new Uint8Array(first.toSchema().toBER(false));
  const b = new Uint8Array(second.toSchema().toBER(false));
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    if (a[at] !== b[at]) return a[at]! - b[at]!;
  }
  return a.length - b.length;
}

function rejection(failure: number, why: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(sequence(statusInfo(2, why, failure)).toBER(false));
}

function statusInfo(status: number, why?: string, failure?: number): asn1js.Sequence {
  const parts: asn1js.BaseBlock[] = [new asn1js.Integer({ value: status })];
  if (why !== undefined) parts.push(sequence(new asn1js.Utf8String({ value: why })));
  if (failure !== undefined) {
    const bytes = new Uint8Array((failure >> 3) + 1);
    bytes[failure >> 3] = 0x80 >> (failure & 7);
    parts.push(new asn1js.BitString({ valueHex: bytes.buffer, unusedBits: 7 - (failure & 7) }));
  }
  return sequence(...parts);
}
