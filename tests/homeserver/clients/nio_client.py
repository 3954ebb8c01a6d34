# SPDX-License-Identifier: Apache-2.0
"""matrix-nio, the client library of many bots, against a homeserver: `nio_client.py URL ALICE BOB`, each account as
`user_id password`, or `user_id password at url` where a principal's proxy speaks for it; prints what was checked, one line each. Whatever nio cannot read ends it with an assertion."""

import asyncio
import io
import sys

import nio

URL, *ACCOUNTS = sys.argv[1:]


def ok(answer, kind):
    """An answer of that kind, or the end."""
    assert isinstance(answer, kind), f"{kind.__name__}: {answer}"
    return answer


async def sync_until(client, check):
    """Syncs until `check` holds; it may look at the answer."""
    for _ in range(60):
        answer = ok(await client.sync(timeout=1000), nio.SyncResponse)
        if check(answer):
            return
    raise AssertionError("what was waited for never came with a sync")


async def open_client(account):
    user, _, rest = account.partition(" ")
    password, _, url = rest.partition(" at ")
    client = nio.AsyncClient(url or URL, user, config=nio.AsyncClientConfig(encryption_enabled=False))
    ok(await client.login(password, device_name="nio"), nio.LoginResponse)
    ok(await client.sync(timeout=0, full_state=True), nio.SyncResponse)
    return client


async def main():
    alice, bob = [await open_client(account) for account in ACCOUNTS]
    print("login and first sync")

    room = ok(await alice.room_create(name="nio", invite=[bob.user_id]), nio.RoomCreateResponse).room_id
    await sync_until(bob, lambda _: room in bob.invited_rooms)
    assert bob.invited_rooms[room].name == "nio"
    ok(await bob.join(room), nio.JoinResponse)
    await sync_until(bob, lambda _: room in bob.rooms)
    await sync_until(alice, lambda _: bob.user_id in alice.rooms[room].users)
    print("invitation and join")

    seen = []
    bob.add_event_callback(lambda _, event: seen.append(event), (nio.RoomMessageText, nio.RedactedEvent))
    text = {"msgtype": "m.text", "body": "hello"}
    sent = ok(await alice.room_send(room, "m.room.message", text), nio.RoomSendResponse).event_id
    await sync_until(bob, lambda _: any(event.event_id == sent and event.body == "hello" for event in seen))
    print("messages")

    ok(await alice.room_put_state(room, "m.room.topic", {"topic": "T"}), nio.RoomPutStateResponse)
    state = ok(await alice.room_get_state_event(room, "m.room.topic"), nio.RoomGetStateEventResponse)
    assert state.content == {"topic": "T"}
    assert len(ok(await alice.room_get_state(room), nio.RoomGetStateResponse).events) > 5
    await sync_until(bob, lambda _: bob.rooms[room].topic == "T")
    print("state")

    ok(await bob.room_typing(room, True, 10_000), nio.RoomTypingResponse)
    await sync_until(alice, lambda _: bob.user_id in alice.rooms[room].typing_users)
    ok(await bob.room_read_markers(room, sent, sent), nio.RoomReadMarkersResponse)
    await sync_until(alice, lambda _: bob.user_id in alice.rooms[room].read_receipts)
    print("typing and receipts")

    page = ok(await bob.room_messages(room, bob.next_batch, limit=5), nio.RoomMessagesResponse)
    assert len(page.chunk) == 5
    around = ok(await bob.room_context(room, sent, limit=4), nio.RoomContextResponse)
    assert around.event.event_id == sent
    ok(await bob.room_get_event(room, sent), nio.RoomGetEventResponse)
    print("paging back and context")

    data = b"some bytes" * 1000
    uploaded, _ = await alice.upload(io.BytesIO(data), "application/octet-stream", "a.bin", filesize=len(data))
    ok(uploaded, nio.UploadResponse)
    # nio asks the old path, which is for those with a token as well here.
    got = await alice.download(uploaded.content_uri)
    assert isinstance(got, (nio.DiskDownloadResponse, nio.MemoryDownloadResponse, nio.DownloadError)), got
    if isinstance(got, nio.MemoryDownloadResponse):
        assert got.body == data
    print("media")

    ok(await alice.set_displayname("Alice A."), nio.ProfileSetDisplayNameResponse)
    assert ok(await bob.get_displayname(alice.user_id), nio.ProfileGetDisplayNameResponse).displayname == "Alice A."
    ok(await alice.get_profile(bob.user_id), nio.ProfileGetResponse)
    print("profiles")

    members = ok(await alice.joined_members(room), nio.JoinedMembersResponse).members
    assert {member.user_id for member in members} == {alice.user_id, bob.user_id}
    assert room in ok(await alice.joined_rooms(), nio.JoinedRoomsResponse).rooms
    print("members and rooms")

    alias = "#nio-" + room[1:9].lower().replace("_", "-") + ":" + alice.user_id.split(":", 1)[1]
    ok(await alice.room_put_alias(alias, room), nio.RoomPutAliasResponse)
    assert ok(await bob.room_resolve_alias(alias), nio.RoomResolveAliasResponse).room_id == room
    ok(await alice.room_delete_alias(alias), nio.RoomDeleteAliasResponse)
    print("aliases")

    ok(await alice.to_device(nio.ToDeviceMessage("org.example.hello", bob.user_id, "*", {"v": 1})), nio.ToDeviceResponse)
    devices = ok(await alice.devices(), nio.DevicesResponse).devices
    assert alice.device_id in {device.id for device in devices}
    ok(await alice.update_device(alice.device_id, {"display_name": "renamed"}), nio.UpdateDeviceResponse)
    ok(await bob.set_presence("online", "busy"), nio.PresenceSetResponse)
    ok(await alice.get_presence(bob.user_id), nio.PresenceGetResponse)
    print("devices, messages to them, presence")

    ok(await alice.room_redact(room, sent, "test"), nio.RoomRedactResponse)
    await sync_until(bob, lambda _: True)
    ok(await alice.room_kick(room, bob.user_id, "test"), nio.RoomKickResponse)
    await sync_until(bob, lambda answer: room in answer.rooms.leave)
    ok(await alice.room_ban(room, bob.user_id), nio.RoomBanResponse)
    ok(await alice.room_unban(room, bob.user_id), nio.RoomUnbanResponse)
    ok(await alice.room_leave(room), nio.RoomLeaveResponse)
    ok(await alice.room_forget(room), nio.RoomForgetResponse)
    print("redaction, kick, ban, leaving")

    for client in (alice, bob):
        ok(await client.logout(), nio.LogoutResponse)
        await client.close()
    print("logout")


asyncio.run(main())
