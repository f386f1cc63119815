//! How the API server checks a rule by itself: the rule's expression in CEL, and its sentence as an expression.
//!
//! An expression stands beside the Rust check that says the same. What several need is written once, in `FRAGMENTS`,
//! and called by its name: `$ipv4`, `$usable(self)`.
//!
//! The API server estimates what an expression may cost at worst and refuses a definition that is too dear. It knows the
//! length of a text that stands in a field, and nothing of one that an expression makes. So a sentence repeats what was
//! written, and what is wrong in a list is found by its index (`$index`).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

use crate::duration::GatewayDuration;

/// Whether the API server checks a rule, before it stores a group.
#[derive(Clone, Copy, Debug)]
pub enum Server {
    /// It does, like this.
    Checks(Cel),
    /// It does not, for this reason.
    Cannot(&'static str),
}

/// A rule as the API server checks it.
#[derive(Clone, Copy, Debug)]
pub struct Cel {
    /// The places in the schema where it hangs, such as `spec.addresses[].label`; `self` is what stands there.
    pub at: &'static [&'static str],
    /// The field below that the API server names, such as `.interval`; empty for `self`.
    field: &'static str,
    /// Is true when nothing is wrong.
    holds: &'static str,
    /// What `$index` stands for: the index of the first entry that is wrong.
    index: &'static str,
    /// The text that the sentence calls `{value}`.
    value: &'static str,
    /// The text that the sentence calls `{other}`.
    other: &'static str,
}

/// What expressions share; `@` stands for what follows the name in parentheses. A fragment may use those below it.
const FRAGMENTS: &[(&str, &str)] = &[
    // Of the spec: the family of the election, as text.
    ("$family", "($ipv4 ? 'IPv4' : 'IPv6')"),
    // Of the spec: whether an address of the election's family is there that is (not) link-local.
    (
        "$link_local",
        "self.addresses.exists(a, $elected && cidr('fe80::/10').containsIP(cidr(a.address).ip()))",
    ),
    (
        "$routable",
        "self.addresses.exists(a, $elected && !cidr('fe80::/10').containsIP(cidr(a.address).ip()))",
    ),
    // Of the spec and an entry `a` of its addresses: whether it is of the election's family.
    (
        "$elected",
        "isCIDR(a.address) && cidr(a.address).ip().family() == ($ipv4 ? 4 : 6)",
    ),
    // Of the spec: the family of the election. If the first address cannot be read, both are false, and rules that
    // depend on it keep quiet.
    (
        "$ipv4",
        "(has(self.advertisement.family) ? self.advertisement.family == 'IPv4' : $first(4))",
    ),
    (
        "$ipv6",
        "(has(self.advertisement.family) ? self.advertisement.family == 'IPv6' : $first(6))",
    ),
    (
        "$first",
        "self.addresses.size() > 0 && isCIDR(self.addresses[0].address) \
         && cidr(self.addresses[0].address).ip().family() == @",
    ),
    // Of the spec: whether the probe @ asks one of the virtual addresses.
    (
        "$asks_virtual",
        "(has(@.httpGet) && has(@.httpGet.host) && $virtual(@.httpGet.host) \
         || has(@.tcpSocket) && has(@.tcpSocket.host) && $virtual(@.tcpSocket.host) \
         || has(@.grpc) && has(@.grpc.host) && $virtual(@.grpc.host) \
         || has(@.mysql) && has(@.mysql.host) && $virtual(@.mysql.host) \
         || has(@.presetOptions) && has(@.presetOptions.host) && $virtual(@.presetOptions.host) \
         || has(@.peer) && $virtual(@.peer.address))",
    ),
    // Of the spec: whether the text @ is one of the virtual addresses.
    (
        "$virtual",
        "(isIP(@) && self.addresses.exists(a, isCIDR(a.address) && cidr(a.address).ip() == ip(@)))",
    ),
    // Whether a router can send from the text @ and be sent to it.
    (
        "$usable",
        "(isIP(@) && !$multicast(ip(@)) && !ip(@).isLoopback() && !ip(@).isUnspecified() && @ != '255.255.255.255')",
    ),
    // Of one virtual address: what no rule about networks speaks of.
    (
        "$refused",
        "($multicast($address) || $address.isLoopback() || $unspecified)",
    ),
    (
        "$unspecified",
        "(cidr('0.0.0.0/8').containsIP($address) || $address.isUnspecified())",
    ),
    (
        "$multicast",
        "(cidr('224.0.0.0/4').containsIP(@) || cidr('ff00::/8').containsIP(@))",
    ),
    ("$address", "cidr(self).ip()"),
    // Of one virtual address: whether it is an IPv4 address written as IPv6. The API server does not read these.
    (
        "$mapped",
        "(!isCIDR(self) && isCIDR(self.lowerAscii().replace(':ffff:', ':fffe:')))",
    ),
    // Of a probe: a list with an entry for each thing that it looks at.
    (
        "$handlers",
        "[has(self.preset), has(self.httpGet), has(self.tcpSocket), has(self.grpc), has(self.exec), \
         has(self.process), has(self.file), has(self.interface), has(self.route), has(self.peer), \
         has(self.mysql), has(self.quorum)].filter(written, written)",
    ),
    // Whether the probe @ acts by something that a quorum would not count.
    (
        "$acts",
        "(@.onFailure.type in ['Fault', 'Weight'] || has(@.file) && @.file.value == 'Priority')",
    ),
    // Whether the path @ is whole.
    (
        "$whole",
        "(@.startsWith('/') && !@.contains('/../') && !@.endsWith('/..'))",
    ),
    // Of the advertisement: whether its interval can be read, and is a multiple of @ milliseconds.
    ("$readable", "self.interval.matches('$duration')"),
    ("$multiple", "duration(self.interval).getMilliseconds() % @ == 0"),
    ("$duration", GatewayDuration::PATTERN),
];

impl Cel {
    /// An expression that is true of each value `at` these places that nothing is wrong with.
    pub(crate) const fn new(at: &'static [&'static str], holds: &'static str) -> Self {
        Self {
            at,
            field: "",
            holds,
            index: "",
            value: "",
            other: "",
        }
    }

    pub(crate) const fn field(self, field: &'static str) -> Self {
        Self { field, ..self }
    }

    pub(crate) const fn index(self, index: &'static str) -> Self {
        Self { index, ..self }
    }

    pub(crate) const fn value(self, value: &'static str) -> Self {
        Self { value, ..self }
    }

    pub(crate) const fn other(self, other: &'static str) -> Self {
        Self { other, ..self }
    }

    /// What stands in the schema for a rule that says `sentence`.
    pub(crate) fn validation(&self, sentence: &str) -> ValidationRule {
        let mut validation = ValidationRule {
            rule: self.expand(self.holds),
            field_path: (!self.field.is_empty()).then(|| self.field.to_owned()),
            ..ValidationRule::default()
        };
        if sentence.contains('{') {
            validation.message_expression = Some(self.message(sentence));
        } else {
            validation.message = Some(sentence.to_owned());
        }
        validation
    }

    /// `sentence` as an expression: its words as literals, its places as the expressions that fill them.
    fn message(&self, sentence: &str) -> String {
        let mut parts = Vec::new();
        for (nth, words) in sentence.split("{value}").enumerate() {
            parts.extend((nth > 0).then(|| self.expand(self.value)));
            for (nth, words) in words.split("{other}").enumerate() {
                parts.extend((nth > 0).then(|| self.expand(self.other)));
                parts.extend((!words.is_empty()).then(|| quoted(words)));
            }
        }
        parts.join(" + ")
    }

    fn expand(&self, expression: &str) -> String {
        let index = ("$index", self.index);
        [&index]
            .into_iter()
            .chain(FRAGMENTS)
            .fold(expression.to_owned(), |text, (name, meaning)| {
                call(&text, name, meaning)
            })
    }
}

/// `text` with each call of the fragment `name` replaced by its meaning.
fn call(text: &str, name: &str, meaning: &str) -> String {
    let mut parts = text.split(name);
    let mut called = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        let (argument, rest) = if meaning.contains('@') {
            argument(rest)
        } else {
            ("", rest)
        };
        called.push_str(&meaning.replace('@', argument));
        called.push_str(rest);
    }
    called
}

/// What stands in the parentheses that `text` begins with, and what follows them.
fn argument(text: &str) -> (&str, &str) {
    let mut open = 0;
    let end = text.bytes().position(|byte| {
        open += i32::from(byte == b'(') - i32::from(byte == b')');
        open == 0
    });
    end.map_or(("", text), |end| (&text[1..end], &text[end + 1..]))
}

/// `text` as a literal of CEL.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::TABLE;

    fn validations() -> impl Iterator<Item = (&'static str, ValidationRule)> {
        TABLE.iter().filter_map(|rule| match rule.server {
            Server::Checks(cel) => Some((rule.id, cel.validation(rule.sentence))),
            Server::Cannot(_) => None,
        })
    }

    #[test]
    fn a_sentence_becomes_an_expression_that_says_it() {
        let cel = Cel::new(&["spec.a"], "$usable(self.b.c())")
            .value("self.v")
            .other("$family");
        let validation = cel.validation(r#"`{value}` is "{other}"\{value}"#);
        assert_eq!(
            validation.message_expression.as_deref(),
            Some(
                r#""`" + self.v + "` is \"" + ((has(self.advertisement.family) ? self.advertisement.family == 'IPv4' : self.addresses.size() > 0 && isCIDR(self.addresses[0].address) && cidr(self.addresses[0].address).ip().family() == 4) ? 'IPv4' : 'IPv6') + "\"\\" + self.v"#
            )
        );
        assert!(
            validation
                .rule
                .starts_with("(isIP(self.b.c()) && !(cidr('224.0.0.0/4').containsIP(ip(self.b.c()))")
        );
        assert_eq!(validation.message, None);
        assert_eq!(cel.validation("no places").message.as_deref(), Some("no places"));
    }

    #[test]
    fn every_expression_is_whole() {
        let mut seen = 0;
        for (id, validation) in validations() {
            seen += 1;
            for expression in [Some(validation.rule), validation.message_expression]
                .into_iter()
                .flatten()
            {
                // The pattern of durations has a `$` of its own, before the end of its literal.
                assert!(
                    !expression.replace("$'", "'").contains(['$', '@']),
                    "{id}: {expression}"
                );
                for (open, close) in [('(', ')'), ('[', ']')] {
                    assert_eq!(
                        expression.matches(open).count(),
                        expression.matches(close).count(),
                        "{id}: {expression}"
                    );
                }
                assert!(
                    !expression.contains("+  +") && !expression.ends_with("+ "),
                    "{id}: {expression}"
                );
            }
        }
        assert!(seen > 35, "only {seen} rules are checked by the API server");
    }

    #[test]
    fn no_fragment_is_the_beginning_of_another_and_none_uses_one_above_it() {
        for (nth, (name, _)) in FRAGMENTS.iter().enumerate() {
            for (other, (longer, meaning)) in FRAGMENTS.iter().enumerate() {
                assert!(nth == other || !longer.starts_with(name), "{name} {longer}");
                assert!(other < nth || !meaning.contains(name), "{longer} uses {name}");
            }
        }
    }
}
