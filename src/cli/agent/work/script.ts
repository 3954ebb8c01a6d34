// SPDX-License-Identifier: Apache-2.0

/**
 * What runs in the throw-away cell that sees an agent's work tree. The agent may have written anything into
 * `.git`: git's own directory is therefore one that this script makes, and of the agent's only the objects are read
 * (as an alternate) and HEAD and branches as text. No configuration, hook, filter, index or graph of the
 * agent's is looked at. The cell has no network, and can write nothing but its own /tmp; what comes out is one
 * stream, which the other side believes nothing of either (`quarantine.ts`).
 */

/** Of one file; GitHub's limit too. */
export const MAX_FILE_BYTES = 100 * 2 ** 20;
/** Of all that is new, unpacked. */
export const MAX_TOTAL_BYTES = 2 * 2 ** 30;
export const MAX_OBJECTS = 500_000;
export const MAX_CHANGED = 20_000;
/** The cell's /tmp, where what is not committed becomes objects. */
export const TMP_BYTES = 512 * 2 ** 20;
const DEADLINE_S = 300;
/** Of each process in the cell, in KiB: an object may claim to be of any size. */
const MEMORY_KIB = 4 * 2 ** 20;

export interface CollectRequest {
  /** `sha1` or `sha256`. */
  readonly format: string;
  /** A branch; null: what is checked out. */
  readonly ref: string | null;
  /** Commits that need not come. */
  readonly have: readonly string[];
}

export function collectCommand({ format, ref, have }: CollectRequest): string[] {
  return [
    "/usr/bin/timeout",
    String(DEADLINE_S),
    "/bin/sh",
    "-c",
    COLLECT,
    "collect",
    format,
    ref === null ? "" : `refs/heads/${ref}`,
    have.join("\n"),
  ];
}

export const COLLECT = `set -u
ulimit -v ${MEMORY_KIB}
W=/workspace
T=/tmp/look
export GIT_DIR=$T/git GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1 GIT_NO_LAZY_FETCH=1
export GIT_NO_REPLACE_OBJECTS=1 GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL=none HOME=/nonexistent LC_ALL=C
export GIT_AUTHOR_NAME=agent GIT_AUTHOR_EMAIL=agent@localhost GIT_AUTHOR_DATE='@0 +0000'
export GIT_COMMITTER_NAME=agent GIT_COMMITTER_EMAIL=agent@localhost GIT_COMMITTER_DATE='@0 +0000'
fail() { printf 'failed %s\\nend\\n' "$1"; exit 0; }
plain() { [ -f "$1" ] && [ ! -L "$1" ]; }
first_line() { plain "$1" && head -c 4096 -- "$1" | head -n 1; }
oid() { printf '%s\\n' "$1" | grep -Eqx '[0-9a-f]{40}|[0-9a-f]{64}'; }
# The commit of a branch: a file of its own, or a line of packed-refs.
branch() {
  case "$1" in *..* | *//* | *[[:cntrl:]]* | */) return 1 ;; refs/heads/?*) ;; *) return 1 ;; esac
  if found=$(first_line "$W/.git/$1") && oid "$found"; then printf '%s\\n' "$found"; return 0; fi
  plain "$W/.git/packed-refs" || return 1
  found=$(N=$1 awk '$2 == ENVIRON["N"] { print $1; exit }' "$W/.git/packed-refs")
  oid "$found" && printf '%s\\n' "$found"
}
names() { printf '%s %s ' "$1" "$(tr -cd '\\0' <"$2" | wc -c)"; tr '\\0' '\\n' <"$2" | head -n 20 | base64 -w 0; echo; }

for tool in git awk base64 comm find sort tr; do command -v "$tool" >/dev/null || fail no-tools; done
mkdir -p "$GIT_DIR/objects/info" "$GIT_DIR/refs" || fail no-room
echo 'ref: refs/heads/none' >"$GIT_DIR/HEAD"
{
  printf '[core]\\n\\trepositoryformatversion = 1\\n\\tbare = false\\n\\tcommitGraph = false\\n\\tmultiPackIndex = false\\n'
  printf '\\tfsmonitor = false\\n\\thooksPath = /dev/null\\n\\tbigFileThreshold = 16m\\n\\tpackedGitWindowSize = 32m\\n\\tpackedGitLimit = 512m\\n\\tprecomposeUnicode = false\\n'
  printf '[pack]\\n\\tuseBitmaps = false\\n\\tthreads = 1\\n[extensions]\\n\\tobjectFormat = %s\\n' "$1"
} >"$GIT_DIR/config"
cd "$W" 2>/dev/null || fail no-workspace
{ [ -d .git ] && [ ! -L .git ] && [ -d .git/objects ] && [ ! -L .git/objects ]; } || fail no-repository
printf '%s\\n' "$W/.git/objects" >"$GIT_DIR/objects/info/alternates"
# A clone of a shallow repository ends where that does.
if plain .git/shallow; then head -c 1000000 .git/shallow | grep -Ex '[0-9a-f]{40,64}' >"$GIT_DIR/shallow"; fi

head=$(first_line .git/HEAD) || fail no-head
here=''
case "$head" in
  'ref: refs/heads/'*) here=\${head#ref: } ;;
esac
want=\${2:-$here}
if [ -n "$want" ]; then
  tip=$(branch "$want") || { [ -n "$2" ] && fail no-branch; fail no-head; }
else
  oid "$head" || fail no-head
  tip=$head
fi
git cat-file -e "$tip^{commit}" 2>/dev/null || fail no-commit
printf 'bureau-work 1\\nhead %s %s\\n' "$tip" "$(printf '%s' "\${want#refs/heads/}" | base64 -w 0)"

# What the other side has, as far as it is here too.
printf '%s\\n' "$3" | git cat-file --batch-check='%(objectname) %(objecttype)' 2>/dev/null |
  sed -n 's/^\\([0-9a-f]*\\) commit$/^\\1/p' >$T/have

: >$T/large; : >$T/nested
snapshot=-
if [ "$want" = "$here" ]; then
  export GIT_WORK_TREE=$W
  git read-tree "$tip" 2>/dev/null || fail no-commit
  find . -xdev -name .git -prune -o -type f -size +${MAX_FILE_BYTES}c -printf '%P\\0' 2>/dev/null | sort -z >$T/large
  git ls-files -z | sort -z >$T/tracked
  comm -z -12 $T/tracked $T/large | git update-index -z --skip-worktree --stdin
  git update-index -q --refresh >/dev/null 2>&1
  git ls-files -z -o --exclude-standard >$T/others 2>/dev/null || fail unreadable
  grep -z '/$' $T/others >$T/nested
  { git diff-files -z --name-only --ignore-submodules=all; grep -zv '/$' $T/others; } | sort -zu | comm -z -23 - $T/large >$T/changed
  [ "$(tr -cd '\\0' <$T/changed | wc -c)" -le ${MAX_CHANGED} ] || fail too-many-files
  git update-index --add --remove --replace -z --stdin <$T/changed 2>$T/errors || {
    grep -q 'No space left' $T/errors && fail too-much-uncommitted
    fail unreadable
  }
  tree=$(git write-tree 2>/dev/null) || fail no-room
  if [ "$tree" != "$(git rev-parse "$tip^{tree}")" ]; then
    snapshot=$(git commit-tree -p "$tip" -m uncommitted "$tree") || fail no-room
  fi
fi
echo "snapshot $snapshot"
names large $T/large
names nested $T/nested
# Work on other branches, which does not come with this one.
{
  if [ -d .git/refs/heads ] && [ ! -L .git/refs ] && [ ! -L .git/refs/heads ]; then
    find .git/refs/heads -xdev -type f ! -name '*.lock' ! -name '*[[:cntrl:]]*' | head -n 100 | sed 's|^[.]git/||'
  fi
  if plain .git/packed-refs; then head -c 1000000 .git/packed-refs | sed -n 's|^[0-9a-f]* \\(refs/heads/.*\\)|\\1|p' | head -n 100; fi
} | sort -u | while IFS= read -r other; do
  [ "$other" != "$want" ] && other_tip=$(branch "$other") || continue
  more=$({ echo "$other_tip"; echo "^$tip"; cat $T/have; } | git rev-list --count --stdin 2>/dev/null) || continue
  [ "$more" -eq 0 ] || printf 'branch %s %s\\n' "$more" "$(printf '%s' "\${other#refs/heads/}" | base64 -w 0)"
done

{ echo "$tip"; [ "$snapshot" = - ] || echo "$snapshot"; cat $T/have; } >$T/revs
git rev-list --objects --stdin <$T/revs 2>/dev/null | cut -d ' ' -f 1 | head -n ${
  MAX_OBJECTS + 1
} >$T/objects
[ "$(wc -l <$T/objects)" -le ${MAX_OBJECTS} ] || fail too-many-objects
git cat-file --batch-check='%(objectsize)' <$T/objects 2>/dev/null | awk '
  /^[0-9]+$/ { n++; sum += $1; if ($1 > max) max = $1; next } { bad = 1 }
  END { printf "%.0f %.0f %.0f %d\\n", n, sum, max, bad }' >$T/sizes
read -r count sum max bad <$T/sizes
[ "$bad" = 0 ] || fail missing-objects
[ "$max" -le ${MAX_FILE_BYTES} ] || fail file-too-large
[ "$sum" -le ${MAX_TOTAL_BYTES} ] || fail too-large
echo "objects $count"
if [ "$count" = 0 ]; then echo end; exit 0; fi
echo pack
# Made anew, so that no delta of the agent's comes along.
exec git pack-objects --revs --stdout -q --no-reuse-delta --no-reuse-object --window=4 <$T/revs
`;
