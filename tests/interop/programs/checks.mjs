// SPDX-License-Identifier: Apache-2.0

/** What the programs of a test report: one JSON line with the names of what held, and the first that did not. */
const checked = [];

export async function check(name, act) {
  try {
    await act();
    checked.push(name);
  } catch (thrown) {
    console.log(JSON.stringify({ checked, failure: `${name}: ${thrown?.stack ?? thrown}` }));
    process.exit(1);
  }
}

export function done() {
  console.log(JSON.stringify({ checked, failure: null }));
  process.exit(0);
}

/** @returns what was thrown */
export async function thrownBy(act) {
  try {
    await act();
  } catch (thrown) {
    return thrown;
  }
  throw new Error("nothing was thrown");
}

/** For SDKs on Node before 24, whose fetch reads no HTTPS_PROXY: what their README says to do about it. */
export async function throughProxy() {
  const proxy = process.env.HTTPS_PROXY;
  if (process.env.FORWARD !== "1") return {};
  const { EnvHttpProxyAgent, fetch } = await import("undici");
  if (proxy === undefined) throw new Error("HTTPS_PROXY is not set");
  return { fetch, fetchOptions: { dispatcher: new EnvHttpProxyAgent() } };
}
