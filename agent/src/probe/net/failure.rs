//! Why a look over the network did not pass, in plain words.

use std::io;

use holdfast_health::{Outcome, Run};
use nix::errno::Errno;
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

/// The longest text from the wire that a message repeats, in characters.
const LONGEST_QUOTE: usize = 200;

/// Why a look did not pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// In one word.
    pub outcome: Outcome,
    /// In a few words, for people.
    pub message: String,
}

/// What a look found: a few words, or why it did not pass.
pub type Found = Result<String, Failure>;

impl Failure {
    /// What was looked at is not as it should be.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Outcome::Failed, message)
    }

    /// The probe itself could not be run.
    pub fn could_not_run(message: impl Into<String>) -> Self {
        Self::new(Outcome::CouldNotRun, message)
    }

    fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { outcome, message }
    }

    /// The same as what a run found.
    pub fn into_run(self) -> Run {
        Run::new(self.outcome, self.message)
    }

    /// The same, with what was being done before it.
    pub fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// From a connection, with or without TLS on it.
    pub fn of_io(error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
            return Self::of_tls(tls);
        }
        if let Some(number) = error.raw_os_error() {
            return Self::of_errno(Errno::from_raw(number));
        }
        // Libraries pass errors on without their numbers.
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::failed("closed without an answer"),
            io::ErrorKind::BrokenPipe => Self::of_errno(Errno::EPIPE),
            io::ErrorKind::ConnectionReset => Self::of_errno(Errno::ECONNRESET),
            io::ErrorKind::ConnectionAborted => Self::of_errno(Errno::ECONNABORTED),
            io::ErrorKind::TimedOut => Self::of_errno(Errno::ETIMEDOUT),
            _ => Self::failed(quote(error.to_string().as_bytes())),
        }
    }

    fn of_errno(errno: Errno) -> Self {
        let outcome = match errno {
            Errno::ETIMEDOUT => Outcome::TimedOut,
            // What this node does not have or does not let the agent do says nothing about the service.
            Errno::EMFILE
            | Errno::ENFILE
            | Errno::ENOBUFS
            | Errno::ENOMEM
            | Errno::EACCES
            | Errno::EPERM
            | Errno::EADDRNOTAVAIL
            | Errno::EAFNOSUPPORT => Outcome::CouldNotRun,
            _ => Outcome::Failed,
        };
        let message = match errno {
            // A Unix socket's; TCP has no such answer.
            Errno::EAGAIN => "nobody accepts: the queue of the socket is full".to_owned(),
            Errno::ENOENT => "there is no such socket".to_owned(),
            _ => lower_first(errno.desc()),
        };
        Self::new(outcome, message)
    }

    /// From a TLS handshake, or from a connection that TLS has ended.
    pub fn of_tls(error: &TlsError) -> Self {
        let message = match error {
            TlsError::InvalidCertificate(problem) => certificate(problem),
            TlsError::AlertReceived(alert) => refused(*alert),
            TlsError::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            )
            | TlsError::PeerSentOversizedRecord => "TLS handshake: the answer is not TLS".to_owned(),
            TlsError::NoCertificatesPresented => "TLS handshake: the server has no certificate".to_owned(),
            other => format!("TLS handshake: {}", quote(other.to_string().as_bytes())),
        };
        Self::failed(message)
    }
}

fn certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("certificate expired on {}", day(not_after.as_secs()))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("certificate is not valid before {}", day(not_before.as_secs()))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            if presented.is_empty() {
                return format!("certificate names nobody, and so not {expected}");
            }
            let names = named(presented);
            format!(
                "certificate is for {} and not for {expected}",
                quote(names.as_bytes())
            )
        }
        // Of an authority that was made anew under its old name the signature is another.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate is signed by an unknown authority".to_owned()
        }
        CertificateError::Revoked => "certificate is revoked".to_owned(),
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            "certificate is not meant for servers".to_owned()
        }
        CertificateError::Other(other) => match other.0.to_string() {
            said if said == CA_AS_SERVER => {
                "certificate is that of an authority and not of a server".to_owned()
            }
            said => format!("certificate is not valid: {}", quote(said.as_bytes())),
        },
        other => format!(
            "certificate is not valid: {}",
            quote(other.to_string().as_bytes())
        ),
    }
}

/// What webpki says of a server that shows its authority's certificate.
const CA_AS_SERVER: &str = "CaUsedAsEndEntity";

/// Whom a certificate names, from what rustls says of it.
pub fn named(presented: &[String]) -> String {
    let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
    names.join(", ")
}

/// Of `DnsName("example.org")` or `IpAddress(10.0.0.1)`, as rustls has it, what is inside.
fn bare(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"')
}

fn refused(alert: AlertDescription) -> String {
    if alert == AlertDescription::NoApplicationProtocol {
        return "TLS handshake: the server does not speak this version of HTTP".to_owned();
    }
    // `CertificateRequired`, `UnknownCA`: as the standard names it.
    let name = format!("{alert:?}");
    let (mut words, mut small) = (String::new(), false);
    for letter in name.chars() {
        if small && letter.is_uppercase() {
            words.push(' ');
        }
        small = letter.is_lowercase();
        words.extend(letter.to_lowercase());
    }
    format!("TLS handshake: the server refuses: {words}")
}

fn day(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%F").to_string(),
        Err(_) => "a day beyond all calendars".to_owned(),
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Bytes from the wire as they may be shown: in one line, without what a terminal would obey, and cut.
pub fn quote(bytes: &[u8]) -> String {
    // Enough for the longest quote of four bytes a character; what floods is not decoded whole.
    let start = &bytes[..bytes.len().min(8 * LONGEST_QUOTE)];
    let text = String::from_utf8_lossy(start);
    let shown = |letter: &char| !letter.is_control() && !invisible(*letter);
    let blank = |letter: char| if letter.is_whitespace() { ' ' } else { letter };
    let mut letters = text.trim().chars().map(blank).filter(shown);
    let mut quoted: String = letters.by_ref().take(LONGEST_QUOTE).collect();
    if letters.next().is_some() || start.len() < bytes.len() {
        quoted.push('…');
    }
    quoted
}

/// Characters that are not seen and change what is seen around them.
fn invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    #[test]
    fn errors_of_the_kernel_are_said_in_its_words_without_numbers() {
        let said = |errno: Errno| {
            let failure = Failure::of_io(&io::Error::from(errno));
            (failure.outcome, failure.message)
        };
        assert_eq!(
            said(Errno::ECONNREFUSED),
            (Outcome::Failed, "connection refused".to_owned())
        );
        assert_eq!(
            said(Errno::EHOSTUNREACH),
            (Outcome::Failed, "no route to host".to_owned())
        );
        assert_eq!(
            said(Errno::ETIMEDOUT),
            (Outcome::TimedOut, "connection timed out".to_owned())
        );
        assert_eq!(
            said(Errno::EMFILE),
            (Outcome::CouldNotRun, "too many open files".to_owned())
        );
        assert_eq!(said(Errno::EACCES).0, Outcome::CouldNotRun);
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_with_its_date_and_its_names() {
        let at = |seconds| UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds));
        let said = |problem| Failure::of_tls(&TlsError::InvalidCertificate(problem)).message;
        assert_eq!(
            said(CertificateError::ExpiredContext {
                time: at(1_800_000_000),
                not_after: at(1_767_312_000)
            }),
            "certificate expired on 2026-01-02"
        );
        let expected = ServerName::try_from("kubernetes.default.svc").unwrap();
        assert_eq!(
            said(CertificateError::NotValidForNameContext {
                expected: expected.clone(),
                presented: vec![
                    "DnsName(\"a.example\")".to_owned(),
                    "IpAddress(10.0.0.1)".to_owned()
                ],
            }),
            "certificate is for a.example, 10.0.0.1 and not for kubernetes.default.svc"
        );
        assert_eq!(
            said(CertificateError::NotValidForNameContext {
                expected,
                presented: Vec::new()
            }),
            "certificate names nobody, and so not kubernetes.default.svc"
        );
        let other = io::Error::other("odd \u{1b}[31m");
        let other = CertificateError::Other(rustls::OtherError(Arc::new(other)));
        assert_eq!(said(other), "certificate is not valid: odd [31m");
    }

    #[test]
    fn an_alert_is_said_in_words() {
        let said = |alert| Failure::of_tls(&TlsError::AlertReceived(alert)).message;
        assert_eq!(
            said(AlertDescription::CertificateRequired),
            "TLS handshake: the server refuses: certificate required"
        );
        assert_eq!(
            said(AlertDescription::UnknownCA),
            "TLS handshake: the server refuses: unknown ca"
        );
    }

    #[test]
    fn texts_from_the_wire_are_one_short_line_that_no_terminal_obeys() {
        assert_eq!(quote(b"-ERR\r\n\x1b[2Jno\xff such"), "-ERR  [2Jno\u{fffd} such");
        assert_eq!(quote("a\u{202e}b".as_bytes()), "ab");
        let long = quote(&vec![b'x'; 70_000]);
        assert_eq!((long.chars().count(), long.ends_with("x…")), (201, true));
        let wide = quote("ü".repeat(200).as_bytes());
        assert_eq!(wide.chars().count(), 200);
    }
}
