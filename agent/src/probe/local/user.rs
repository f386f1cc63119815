//! Users of the node, by name or number, as its files have them.
//!
//! Read by hand, not by the C library: that may ask a directory server, load its libraries into the agent, and wait.

use std::{fs, io};

use super::super::access::USERS;
use crate::sys::Credentials;

/// The file that has the node's groups and who belongs to them.
const GROUPS: &str = "/etc/group";

/// The group of a user that the node's files do not know: nobody's.
const NO_GROUP: u32 = 65534;

/// Whom `user`, a name or a number, stands for.
pub fn credentials(user: &str) -> Result<Credentials, String> {
    let users = read(USERS)?;
    let groups = read(GROUPS)?;
    find(&users, &groups, user).ok_or_else(|| unknown(user))
}

/// The number of `user`, a name or a number.
pub fn number(user: &str) -> Result<u32, String> {
    match id(user) {
        Some(number) => Ok(number),
        None => entry(&read(USERS)?, user)
            .map(|entry| entry.user)
            .ok_or_else(|| unknown(user)),
    }
}

fn unknown(user: &str) -> String {
    format!("there is no user {user} in {USERS}: a user from elsewhere can be given by number")
}

/// An image may have none of these files, and a number needs none.
fn read(path: &str) -> Result<String, String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("{path} cannot be read: {error}")),
    }
}

fn find(users: &str, groups: &str, user: &str) -> Option<Credentials> {
    let Some(entry) = entry(users, user) else {
        return Some(Credentials {
            user: id(user)?,
            group: NO_GROUP,
            groups: Vec::new(),
        });
    };
    let mut of_user: Vec<u32> = groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':').skip(2);
            let (group, members) = (id(fields.next()?)?, fields.next()?);
            members
                .split(',')
                .any(|member| member == entry.name)
                .then_some(group)
        })
        .chain([entry.group])
        .collect();
    of_user.sort_unstable();
    of_user.dedup();
    Some(Credentials {
        user: entry.user,
        group: entry.group,
        groups: of_user,
    })
}

struct Entry<'a> {
    name: &'a str,
    user: u32,
    group: u32,
}

/// The line of `/etc/passwd` with this name, or with this number if there is no such name.
fn entry<'a>(users: &'a str, user: &str) -> Option<Entry<'a>> {
    let entries = || {
        users.lines().filter_map(|line| {
            let mut fields = line.split(':');
            Some(Entry {
                name: fields.next().filter(|name| !name.is_empty())?,
                user: id(fields.nth(1)?)?,
                group: id(fields.next()?)?,
            })
        })
    };
    entries().find(|entry| entry.name == user).or_else(|| {
        let number = id(user)?;
        entries().find(|entry| entry.user == number)
    })
}

/// The number of a user or group. The highest one is none: system calls take it for "as before", which is root.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\n+:::\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n\
                         haproxy:x:120:121::/:/bin/false\nevil:x:4294967295:0::/:/bin/sh\n";
    const GROUPS: &str = "root:x:0:\nadm:x:4:syslog,haproxy\nbroken:x\nshadow:x:42:haproxyd\nssl-cert:x:119:haproxy,postgres\n";

    fn of(user: u32, group: u32, groups: &[u32]) -> Credentials {
        Credentials {
            user,
            group,
            groups: groups.to_vec(),
        }
    }

    fn found(user: &str) -> Option<Credentials> {
        find(USERS, GROUPS, user)
    }

    #[test]
    fn a_user_has_the_groups_that_the_nodes_files_give_it_and_no_others() {
        assert_eq!(found("haproxy"), Some(of(120, 121, &[4, 119, 121])));
        assert_eq!(found("120"), Some(of(120, 121, &[4, 119, 121])));
        assert_eq!(found("www-data"), Some(of(33, 33, &[33])));
        assert_eq!(found("root"), Some(of(0, 0, &[0])));
    }

    #[test]
    fn a_number_needs_no_entry_and_a_name_does() {
        assert_eq!(found("4711"), Some(of(4711, NO_GROUP, &[])));
        assert_eq!(find("", "", "0"), Some(of(0, NO_GROUP, &[])));
        for user in [
            "nobody",
            "",
            "+",
            "broken",
            "evil",
            "-1",
            "4294967295",
            "4294967296",
        ] {
            assert_eq!(found(user), None, "{user:?}");
        }
    }
}
