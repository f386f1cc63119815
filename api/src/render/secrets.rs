//! What a group names instead of writing it down: passwords, keys and certificates.

use crate::v1alpha1::{Credentials, NodeGroup, ProbeTLS, SecretKeyReference};

/// Where a secret is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SecretSource {
    /// In the first line of a file of the node, at this path.
    File(String),
    /// In a Secret in Holdfast's namespace.
    Secret {
        /// The Secret's name.
        name: String,
        /// The key in its `data`.
        key: String,
        /// How much of the value is meant.
        part: SecretPart,
    },
}

/// How much of the value in a Secret is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SecretPart {
    /// Its first line, without what ends it: a password, which people write with an editor.
    FirstLine,
    /// All of it: certificates and keys.
    Whole,
}

/// Reads what is at a source, or says in a sentence why it cannot.
pub type Secrets<'a> = &'a dyn Fn(&SecretSource) -> Result<Vec<u8>, String>;

/// The key of a Secret of type `kubernetes.io/tls` that holds the certificate and those that sign it.
const TLS_CERTIFICATE: &str = "tls.crt";
/// The key of such a Secret that holds the private key.
const TLS_KEY: &str = "tls.key";

impl SecretSource {
    /// The password at `reference`.
    pub(super) fn password(reference: &SecretKeyReference) -> Self {
        Self::at(&reference.name, &reference.key, SecretPart::FirstLine)
    }

    /// The certificates at `reference`.
    pub(super) fn certificates(reference: &SecretKeyReference) -> Self {
        Self::at(&reference.name, &reference.key, SecretPart::Whole)
    }

    /// Certificate and key in the Secret `name` of type `kubernetes.io/tls`.
    pub(super) fn key_pair(name: &str) -> [Self; 2] {
        [TLS_CERTIFICATE, TLS_KEY].map(|key| Self::at(name, key, SecretPart::Whole))
    }

    fn at(name: &str, key: &str, part: SecretPart) -> Self {
        Self::Secret {
            name: name.to_owned(),
            key: key.to_owned(),
            part,
        }
    }
}

/// Everything in Secrets that a group names: what an agent has to follow to run it.
pub fn named_secrets(group: &NodeGroup) -> Vec<SecretSource> {
    let own = group.authentication.secret_ref.iter().map(SecretSource::password);
    let probes = group.probes.iter().flat_map(|probe| {
        let tls = probe.tls().into_iter().flat_map(of_tls);
        tls.chain(probe.credentials().and_then(of_login))
    });
    let mut named: Vec<SecretSource> = own.chain(probes).collect();
    named.sort();
    named.dedup();
    named
}

fn of_tls(tls: &ProbeTLS) -> Vec<SecretSource> {
    let authorities = tls.ca_secret_ref.iter().map(SecretSource::certificates);
    let client = tls
        .certificate_secret
        .iter()
        .flat_map(|name| SecretSource::key_pair(name));
    authorities.chain(client).collect()
}

fn of_login(credentials: &Credentials) -> Option<SecretSource> {
    credentials
        .password_secret_ref
        .as_ref()
        .map(SecretSource::password)
}
