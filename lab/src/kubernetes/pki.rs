//! The control plane's certificates and keys, made anew for each.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::error::{Doing as _, Error, Result};

/// Names under which Pods know an API server.
const SERVICE_NAMES: [&str; 4] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];

/// A certificate authority with what it has signed, as files of a folder.
pub(super) struct Pki {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What signs tokens, and what proves them.
#[derive(Debug)]
pub(super) struct TokenKeys {
    pub(super) private: PathBuf,
    pub(super) public: PathBuf,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pki")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Pki {
    /// Makes the authority, with its certificate in `folder`, which is created.
    pub(super) fn create(folder: PathBuf) -> Result<Self> {
        fs::create_dir(&folder).doing(|| format!("create {}", folder.display()))?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        let authority = CertifiedIssuer::self_signed(params, new_key()?)
            .map_err(|error| failed("the authority", &error))?;
        let pki = Self { folder, authority };
        write(&pki.authority_file(), &pki.authority.pem())?;
        Ok(pki)
    }

    /// The authority's certificate.
    pub(super) fn authority_file(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// A certificate for a server at these addresses and at the names that Pods use.
    pub(super) fn server(&self, addresses: &[IpAddr]) -> Result<Pair> {
        let names: Vec<String> = SERVICE_NAMES
            .map(str::to_owned)
            .into_iter()
            .chain(addresses.iter().map(ToString::to_string))
            .collect();
        let mut params = CertificateParams::new(names).map_err(|error| failed("the server", &error))?;
        params
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign("apiserver", params)
    }

    /// A certificate that makes whoever has it the user `name`, in `group` if one is given.
    pub(super) fn client(&self, name: &str, group: Option<&str>) -> Result<Pair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&format!("client-{}", name.replace([':', '/'], "_")), params)
    }

    /// The key that signs the tokens of ServiceAccounts, and the one that proves them.
    pub(super) fn token_keys(&self) -> Result<TokenKeys> {
        let (pair, keys) = (
            new_key()?,
            TokenKeys {
                private: self.folder.join("sa.key"),
                public: self.folder.join("sa.pub"),
            },
        );
        write(&keys.private, &pair.serialize_pem())?;
        write(&keys.public, &pair.public_key_pem())?;
        Ok(keys)
    }

    fn sign(&self, file: &str, mut params: CertificateParams) -> Result<Pair> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = new_key()?;
        let certificate = params
            .signed_by(&key, &self.authority)
            .map_err(|error| failed(file, &error))?;
        let pair = Pair {
            certificate: self.folder.join(format!("{file}.crt")),
            key: self.folder.join(format!("{file}.key")),
        };
        write(&pair.certificate, &certificate.pem())?;
        write(&pair.key, &key.serialize_pem())?;
        Ok(pair)
    }
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate().map_err(|error| failed("a new key", &error))
}

fn failed(whose: &str, error: &rcgen::Error) -> Error {
    Error::Invalid(format!("cannot make the certificate of {whose}: {error}"))
}

fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).doing(|| format!("write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .doing(|| format!("restrict {}", path.display()))
}
