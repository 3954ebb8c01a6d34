// SPDX-License-Identifier: Apache-2.0

/** Who came by the web listener, for the daemon's own routes: they serve such requests as any other. */
export interface Guest {
  readonly userId: string;
  /** What other watchers are told: the user id, or that it is a shared link. */
  readonly who: string;
  /** Of a shared link: watches, and nothing else. */
  readonly readOnly: boolean;
  /** Whether the session still holds. */
  readonly alive: () => boolean;
}

const guests = new WeakMap<Request, Guest>();

export function welcome(request: Request, guest: Guest): void {
  guests.set(request, guest);
}

/** Undefined: the request came by the daemon's own socket. */
export const guestOf = (request: Request): Guest | undefined => guests.get(request);
