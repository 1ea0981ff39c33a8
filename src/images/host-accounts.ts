/**
 * The accounts of the host that the daemon runs on, as Debian's base-passwd makes them: the daemon looks names up for what COPY calls the files
 * of another image (Go's tar.FileInfoHeader).
 */

const USERS =
  "root:0 daemon:1 bin:2 sys:3 sync:4 games:5 man:6 lp:7 mail:8 news:9 uucp:10 proxy:13 www-data:33 backup:34 list:38 irc:39 _apt:42 nobody:65534";
const GROUPS =
  "root:0 daemon:1 bin:2 sys:3 adm:4 tty:5 disk:6 lp:7 mail:8 news:9 uucp:10 man:12 proxy:13 kmem:15 dialout:20 fax:21 voice:22 cdrom:24 floppy:25 tape:26 sudo:27 audio:29 dip:30 www-data:33 backup:34 operator:37 list:38 irc:39 src:40 shadow:42 utmp:43 video:44 sasl:45 plugdev:46 staff:50 games:60 users:100 nogroup:65534";

function namesOf(rows: string): ReadonlyMap<number, string> {
  return new Map(
    rows.split(" ").map((row) => {
      const [name = "", id] = row.split(":");
      return [Number(id), name];
    }),
  );
}

const USER_NAMES = namesOf(USERS);
const GROUP_NAMES = namesOf(GROUPS);

/** The names of an owner; "" where the host has none. */
export function accountNames(uid: number, gid: number): { readonly uname: string; readonly gname: string } {
  return { uname: USER_NAMES.get(uid) ?? "", gname: GROUP_NAMES.get(gid) ?? "" };
}
