//! Where kubeadm's static pod makes the API server listen.

use core::net::IpAddr;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::source::files;

/// Where the kubelet reads it.
pub const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/// Far above the size of any manifest.
const MAX_BYTES: u64 = 1 << 20;

/// Where an API server listens, as far as its manifest says so.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bound {
    /// The one address; `None`: all of them.
    pub address: Option<IpAddr>,
    /// The port, if it is named.
    pub port: Option<u16>,
}

/// Reads the manifest at `path`; what cannot be read says nothing.
pub fn read(path: &Path) -> Option<Bound> {
    let mut text = String::new();
    let file: fs::File = files::open(path).ok()?;
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    let documents = holdfast_api::yaml::read(&text).ok()?;
    documents.iter().find_map(|document| bound(&document.value))
}

fn bound(pod: &Value) -> Option<Bound> {
    let containers = pod.get("spec")?.get("containers")?.as_array()?;
    let words: Vec<&str> = containers
        .iter()
        .flat_map(|container| ["command", "args"].map(|field| container.get(field)))
        .filter_map(|words| words?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let address = option(&words, "--bind-address").and_then(|text| text.parse().ok());
    Some(Bound {
        address: address.filter(|address: &IpAddr| !address.is_unspecified()),
        port: option(&words, "--secure-port").and_then(|text| text.parse().ok()),
    })
}

/// The value of `--name=value` or `--name value`; of several the last, as the API server reads them.
fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let value = |at: usize| match words[at].strip_prefix(name)? {
        "" => words.get(at + 1).copied(),
        rest => rest.strip_prefix('='),
    };
    (0..words.len()).rev().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(options: &str) -> Option<Bound> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kube-apiserver.yaml");
        let text = format!(
            "apiVersion: v1\nkind: Pod\nspec:\n  hostNetwork: true\n  containers:\n  - name: kube-apiserver\n    \
             command: [kube-apiserver, --advertise-address=10.0.0.11{options}]\n"
        );
        fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn the_address_and_port_of_the_manifest_are_found_however_they_are_written() {
        let bound = |address: &str, port| Bound {
            address: address.parse().ok(),
            port,
        };
        assert_eq!(said(""), Some(Bound::default()));
        assert_eq!(
            said(", --bind-address=10.0.0.11, --secure-port=7443"),
            Some(bound("10.0.0.11", Some(7443)))
        );
        assert_eq!(
            said(", --bind-address, 'fd00::11'"),
            Some(bound("fd00::11", None))
        );
        assert_eq!(
            said(", --bind-address-hard-to-set=10.0.0.11"),
            Some(Bound::default())
        );
    }

    #[test]
    fn all_addresses_are_no_address() {
        for all in ["0.0.0.0", "'::'"] {
            assert_eq!(said(&format!(", --bind-address={all}")).unwrap().address, None);
        }
    }

    #[test]
    fn a_manifest_that_is_missing_or_none_says_nothing() {
        assert_eq!(read(Path::new("/nonexistent/kube-apiserver.yaml")), None);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken.yaml");
        fs::write(&path, "a: [").unwrap();
        assert_eq!(read(&path), None);
    }
}
