//! From what a probe says of TLS to the configuration of a client.

use std::path::Path;
use std::sync::Arc;

use holdfast_api::model::probe::{Material, Tls, Trust};
use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use super::super::failure::{Failure, quote};
use super::super::material::{self, Fingerprint};
use super::verify::Anybody;

/// Where the cluster's own CA is: what the kubelet gives to pods, or else kubeadm's file.
const CLUSTER: [&str; 2] = [
    "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    "/etc/kubernetes/pki/ca.crt",
];

/// What a configuration is made of.
#[derive(Debug)]
pub struct Sources {
    trust: Trust,
    client: Option<(Material, Material)>,
    alpn: &'static [u8],
}

/// How the files were when a configuration was made of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamp(Vec<Option<Fingerprint>>);

impl Sources {
    /// Of what a probe says, for one application protocol.
    pub fn new(tls: &Tls, alpn: &'static [u8]) -> Self {
        Self {
            trust: tls.trust.clone(),
            client: tls.client.clone(),
            alpn,
        }
    }

    /// Whether some of it is in files that are known by name.
    pub fn has_files(&self) -> bool {
        let trusted = match &self.trust {
            Trust::Cluster => true,
            Trust::Authorities(material) => is_file(material),
            Trust::System | Trust::Anybody => false,
        };
        let shown = |(chain, key): &(Material, Material)| is_file(chain) || is_file(key);
        trusted || self.client.as_ref().is_some_and(shown)
    }

    /// How these files are now.
    pub fn stamp(&self) -> Stamp {
        let mut stamp = match &self.trust {
            Trust::Cluster => CLUSTER.map(|path| material::at(Path::new(path))).to_vec(),
            Trust::Authorities(authorities) => vec![material::fingerprint(authorities)],
            Trust::System | Trust::Anybody => Vec::new(),
        };
        if let Some((chain, key)) = &self.client {
            stamp.extend([chain, key].map(material::fingerprint));
        }
        Stamp(stamp)
    }

    /// Reads everything. May wait for a disk.
    pub fn build(&self) -> Result<ClientConfig, Failure> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::of_tls(&error))?;
        let builder = match self.roots()? {
            Some(roots) => builder.with_root_certificates(roots),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        };
        let mut config = self.with_client(builder)?;
        config.alpn_protocols = vec![self.alpn.to_vec()];
        // A session that is resumed shows no certificate: one that has expired meanwhile would never be seen.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// `None`: whoever answers is believed.
    fn roots(&self) -> Result<Option<RootCertStore>, Failure> {
        let (what, bytes) = match &self.trust {
            Trust::Anybody => return Ok(None),
            Trust::System => return system().map(Some),
            Trust::Authorities(authorities) => {
                let what = "the CA's certificates";
                (what, material::read(what, authorities)?)
            }
            Trust::Cluster => {
                let what = "the cluster's CA";
                let pod = material::read_file(what, Path::new(CLUSTER[0]));
                (
                    what,
                    pod.or_else(|_| material::read_file(what, Path::new(CLUSTER[1])))?,
                )
            }
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(what, &bytes)? {
            roots
                .add(certificate)
                .map_err(|error| Failure::could_not_run(format!("{what}: {error}")))?;
        }
        Ok(Some(roots))
    }

    fn with_client(
        &self,
        builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    ) -> Result<ClientConfig, Failure> {
        let Some((chain, key)) = &self.client else {
            return Ok(builder.with_no_client_auth());
        };
        let what = "the client's certificate";
        let chain = certificates(what, &material::read(what, chain)?)?;
        let what = "the client's key";
        let key = PrivateKeyDer::from_pem_slice(&material::read(what, key)?)
            .map_err(|_| Failure::could_not_run(format!("{what} is no private key in PEM")))?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    Failure::could_not_run("the client's certificate and its key do not belong together")
                }
                other => Failure::could_not_run(format!(
                    "the client's certificate: {}",
                    quote(other.to_string().as_bytes())
                )),
            })
    }
}

fn is_file(material: &Material) -> bool {
    matches!(material, Material::File(_))
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(Failure::could_not_run(format!(
            "{what}: there is no certificate in it"
        ))),
        Ok(found) => Ok(found),
        Err(_) => Err(Failure::could_not_run(format!("{what}: it is not PEM"))),
    }
}

fn system() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    // Of hundreds of authorities a few are of a kind that is not understood; that is not this probe's concern.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Failure::could_not_run(
            "this node trusts no authority at all: name the CA of the service in the probe's tls",
        ));
    }
    Ok(roots)
}
