// SPDX-License-Identifier: Apache-2.0

/** RFC 3161 responses: parses a TimeStampReq, signs a TSTInfo in a CMS SignedData (RFC 5652). */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import type { KeyedCertificate } from "./certificates.ts";

const OID = {
  signedData: "1.2.840.113549.1.7.2",
  tstInfo: "1.2.840.113549.1.9.16.1.4",
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingTime: "1.2.840.113549.1.9.5",
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47",
  sha256: "2.16.840.1.101.3.4.2.1",
  /** The policy this authority stamps under, in the arc for documentation examples. */
  policy: "1.3.6.1.4.1.32473.1",
} as const;

/** PKIStatus (RFC 3161 §2.4.2). */
const GRANTED = 0;
const REJECTED = 2;
const SHA256_BYTES = 32;

/**
 * @param request DER of a TimeStampReq
 * @returns DER of a TimeStampResp: a token, or a rejection that says why
 */
export async function respond(
  request: Uint8Array<ArrayBuffer>,
  signer: KeyedCertificate,
  now: number,
): Promise<Uint8Array<ArrayBuffer>> {
  let query: pkijs.TimeStampReq;
  try {
    query = pkijs.TimeStampReq.fromBER(request.buffer);
  } catch {
    return reject("the request is not a DER TimeStampReq");
  }
  const { hashAlgorithm, hashedMessage } = query.messageImprint;
  if (hashAlgorithm.algorithmId !== OID.sha256) return reject("only SHA-256 is stamped");
  if (hashedMessage.valueBlock.valueHexView.length !== SHA256_BYTES) {
    return reject("the digest does not have 32 bytes");
  }
  const info = new pkijs.TSTInfo({
    version: 1,
    policy: OID.policy,
    messageImprint: query.messageImprint,
    serialNumber: new asn1js.Integer({ valueHex: randomSerial() }),
    genTime: new Date(now),
    ordering: false,
    ...(query.nonce === undefined ? {} : { nonce: query.nonce }),
  });
  const token = await sign(info.toSchema().toBER(), signer, query.certReq === true);
  return new Uint8Array(
    new pkijs.TimeStampResp({
      status: new pkijs.PKIStatusInfo({ status: GRANTED }),
      timeStampToken: new pkijs.ContentInfo({
        contentType: OID.signedData,
        content: token.toSchema(true),
      }),
    }).toSchema().toBER(),
  );
}

function reject(why: string): Uint8Array<ArrayBuffer> {
  const status = new pkijs.PKIStatusInfo({
    status: REJECTED,
    statusStrings: [new asn1js.Utf8String({ value: why })],
  });
  return new Uint8Array(new pkijs.TimeStampResp({ status }).toSchema().toBER());
}

function randomSerial(): ArrayBuffer {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  bytes[0] = 0x4b;
  return bytes.buffer;
}

async function sign(
  content: ArrayBuffer,
  signer: KeyedCertificate,
  withCertificate: boolean,
): Promise<pkijs.SignedData> {
  const digest = await crypto.subtle.digest("SHA-256", content);
  const certificate = signer.certificate.toSchema(true).toBER();
  const certificateHash = await crypto.subtle.digest("SHA-256", certificate);
  const attribute = (type: string, value: asn1js.BaseBlock) =>
    new pkijs.Attribute({ type, values: [value] });
  const signedAttributes = [
    attribute(OID.contentType, new asn1js.ObjectIdentifier({ value: OID.tstInfo })),
    attribute(OID.messageDigest, new asn1js.OctetString({ valueHex: digest })),
    // Binds the token to this very certificate (RFC 5816); without it a verifier must refuse.
    attribute(OID.signingCertificateV2, essCertificate(certificateHash)),
  ];
  const data = new pkijs.SignedData({
    version: 3,
    encapContentInfo: new pkijs.EncapsulatedContentInfo({
      eContentType: OID.tstInfo,
      eContent: new asn1js.OctetString({ valueHex: content }),
    }),
    signerInfos: [
      new pkijs.SignerInfo({
        version: 1,
        sid: new pkijs.IssuerAndSerialNumber({
          issuer: signer.certificate.issuer,
          serialNumber: signer.certificate.serialNumber,
        }),
        signedAttrs: new pkijs.SignedAndUnsignedAttributes({
          type: 0,
          attributes: signedAttributes,
        }),
      }),
    ],
    certificates: withCertificate ? [signer.certificate] : [],
  });
  await data.sign(signer.privateKey, 0, "SHA-256");
  return data;
}

/** SigningCertificateV2 with one ESSCertIDv2 under the default hash, SHA-256 (RFC 5035 §4). */
function essCertificate(hash: ArrayBuffer): asn1js.Sequence {
  const id = new asn1js.Sequence({ value: [new asn1js.OctetString({ valueHex: hash })] });
  return new asn1js.Sequence({ value: [new asn1js.Sequence({ value: [id] })] });
}
