//! An image as one file: an OCI image layout, with the two further files by which Docker knows it too.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::layer::{Layer, Tree, digest};

const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// A shell in the image and the programs that it starts are found here; the entry point has its own path.
pub const PATH: &str = "PATH=/usr/local/bin:/bin";

/// Everything that makes an image.
pub struct Image<'a> {
    /// Its name without a registry, as in `image:` of a pod.
    pub name: &'a str,
    pub tag: &'a str,
    /// The processor, as image formats call it.
    pub architecture: &'a str,
    /// When it counts as made.
    pub created: Timestamp,
    /// `user:group`, in numbers: there may be nobody to look names up.
    pub user: &'a str,
    pub entrypoint: &'a str,
    /// On the image itself, and on the manifest that registries show.
    pub labels: &'a BTreeMap<&'static str, String>,
    /// From the lowest to the uppermost.
    pub layers: &'a [Layer],
}

impl Image<'_> {
    /// The archive's bytes, and the manifest's digest, by which a registry and a pod name exactly this image.
    pub fn archive(&self) -> Result<(Vec<u8>, String)> {
        let mut files = Tree::default();
        let mut store = |content: Vec<u8>, media_type| {
            let blob = Descriptor::of(&content, media_type);
            files.file(&blob.path(), content);
            blob
        };
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|layer| store(layer.gzip.clone(), LAYER_TYPE))
            .collect();
        let config = store(json(&self.configuration())?, CONFIG_TYPE);
        let docker = [DockerImage {
            config: config.path(),
            repo_tags: [format!("{}:{}", self.name, self.tag)],
            layers: layers.iter().map(Descriptor::path).collect(),
        }];
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            config,
            layers,
            annotations: self.labels,
        };
        let mut manifest = store(json(&manifest)?, MANIFEST_TYPE);
        let manifest_digest = manifest.digest.clone();
        manifest.platform = Some(self.platform());
        manifest.annotations = BTreeMap::from([
            ("org.opencontainers.image.ref.name", self.tag.to_owned()),
            // The name under which the kubelet asks containerd for it.
            (
                "io.containerd.image.name",
                format!("docker.io/library/{}:{}", self.name, self.tag),
            ),
        ]);
        let index = Index {
            schema_version: 2,
            media_type: INDEX_TYPE,
            manifests: [manifest],
        };
        files.file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        files.file("index.json", json(&index)?);
        files.file("manifest.json", json(&docker)?);
        let time = u64::try_from(self.created.as_second()).context("the image is older than 1970")?;
        Ok((files.tar(time)?, manifest_digest))
    }

    fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.to_owned(),
            os: "linux",
        }
    }

    fn configuration(&self) -> Configuration<'_> {
        Configuration {
            created: self.created,
            platform: self.platform(),
            config: Process {
                user: self.user,
                env: [PATH],
                entrypoint: [self.entrypoint],
                working_dir: "/",
                labels: self.labels,
            },
            rootfs: RootFs {
                kind: "layers",
                diff_ids: self
                    .layers
                    .iter()
                    .map(|layer| layer.unpacked_digest.as_str())
                    .collect(),
            },
            history: self
                .layers
                .iter()
                .map(|_| History {
                    created: self.created,
                    created_by: "cargo xtask images",
                })
                .collect(),
        }
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("cannot write JSON")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

impl Descriptor {
    fn of(content: &[u8], media_type: &'static str) -> Self {
        Self {
            media_type,
            digest: digest(content),
            size: content.len(),
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: [Descriptor; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: &'a BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Platform {
    architecture: String,
    os: &'static str,
}

#[derive(Serialize)]
struct Configuration<'a> {
    created: Timestamp,
    #[serde(flatten)]
    platform: Platform,
    config: Process<'a>,
    rootfs: RootFs<'a>,
    history: Vec<History>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Process<'a> {
    user: &'a str,
    env: [&'a str; 1],
    entrypoint: [&'a str; 1],
    working_dir: &'a str,
    labels: &'a BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<&'a str>,
}

#[derive(Serialize)]
struct History {
    created: Timestamp,
    created_by: &'static str,
}

/// An entry of manifest.json, which `docker load` reads.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: [String; 1],
    layers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use oci_spec::image::{Arch, ImageConfiguration, ImageIndex, ImageManifest, Os};

    use super::*;

    /// A version 0.1.0 of an image with these layers, one file each.
    fn image(contents: &[&str]) -> (Vec<u8>, String) {
        let layers: Vec<_> = contents
            .iter()
            .map(|content| {
                let mut tree = Tree::default();
                tree.program("agent", *content);
                tree.layer(1_700_000_000).unwrap()
            })
            .collect();
        let image = Image {
            name: "holdfast-agent",
            tag: "0.1.0",
            architecture: "arm64",
            created: Timestamp::from_second(1_700_000_000).unwrap(),
            user: "65532:65532",
            entrypoint: "/agent",
            labels: &BTreeMap::from([("org.opencontainers.image.title", "Holdfast agent".to_owned())]),
            layers: &layers,
        };
        image.archive().unwrap()
    }

    /// The archive's files by their paths.
    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.header().entry_type().is_file() {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                files.insert(entry.path().unwrap().display().to_string(), content);
            }
        }
        files
    }

    fn blob<'f>(files: &'f BTreeMap<String, Vec<u8>>, digest: &impl ToString) -> &'f [u8] {
        &files[&format!("blobs/{}", digest.to_string().replace(':', "/"))]
    }

    #[test]
    fn another_reader_finds_the_image_through_index_manifest_and_configuration() {
        let (archive, digest) = image(&["one", "two"]);
        let files = files(&archive);
        let index = ImageIndex::from_reader(files["index.json"].as_slice()).unwrap();
        let [described] = index.manifests().as_slice() else {
            panic!("one manifest, not {:?}", index.manifests());
        };
        assert_eq!(described.digest().to_string(), digest);
        let platform = described.platform().as_ref().unwrap();
        assert_eq!(
            (platform.architecture(), platform.os()),
            (&Arch::ARM64, &Os::Linux)
        );
        let names = described.annotations().as_ref().unwrap();
        assert_eq!(names["org.opencontainers.image.ref.name"], "0.1.0");
        assert_eq!(
            names["io.containerd.image.name"],
            "docker.io/library/holdfast-agent:0.1.0"
        );

        let manifest = ImageManifest::from_reader(blob(&files, described.digest())).unwrap();
        assert_eq!(manifest.layers().len(), 2);
        let annotations = manifest.annotations().as_ref().unwrap();
        assert_eq!(annotations["org.opencontainers.image.title"], "Holdfast agent");

        let configuration =
            ImageConfiguration::from_reader(blob(&files, manifest.config().digest())).unwrap();
        assert_eq!(configuration.architecture(), &Arch::ARM64);
        assert_eq!(configuration.created().as_deref(), Some("2023-11-14T22:13:20Z"));
        let process = configuration.config().as_ref().unwrap();
        assert_eq!(process.user().as_deref(), Some("65532:65532"));
        assert_eq!(
            process.entrypoint().as_deref(),
            Some(["/agent".to_owned()].as_slice())
        );
        let labels = process.labels().as_ref().unwrap();
        assert_eq!(labels["org.opencontainers.image.title"], "Holdfast agent");
    }

    #[test]
    fn layers_are_stored_from_the_lowest_up_and_the_configuration_knows_them_unpacked() {
        let files = files(&image(&["one", "two"]).0);
        let index = ImageIndex::from_reader(files["index.json"].as_slice()).unwrap();
        let manifest = ImageManifest::from_reader(blob(&files, index.manifests()[0].digest())).unwrap();
        let configuration =
            ImageConfiguration::from_reader(blob(&files, manifest.config().digest())).unwrap();
        let unpacked = manifest.layers().iter().map(|layer| {
            let mut tar = Vec::new();
            let packed = blob(&files, layer.digest());
            flate2::read::GzDecoder::new(packed)
                .read_to_end(&mut tar)
                .unwrap();
            assert!(tar.windows(3).any(|bytes| bytes == b"one" || bytes == b"two"));
            digest(&tar)
        });
        assert_eq!(&unpacked.collect::<Vec<_>>(), configuration.rootfs().diff_ids());
    }

    #[test]
    fn every_blob_is_named_by_its_hash_and_described_with_its_size() {
        let files = files(&image(&["one", "two"]).0);
        let blobs = files
            .iter()
            .filter_map(|(path, content)| Some((path.strip_prefix("blobs/")?, content)));
        let blobs: Vec<_> = blobs.collect();
        assert_eq!(blobs.len(), 4, "two layers, a configuration and a manifest");
        for (path, content) in blobs {
            assert_eq!(path.replace('/', ":"), digest(content));
        }
        let index = ImageIndex::from_reader(files["index.json"].as_slice()).unwrap();
        let manifest = ImageManifest::from_reader(blob(&files, index.manifests()[0].digest())).unwrap();
        for described in [&index.manifests()[0], manifest.config()]
            .into_iter()
            .chain(manifest.layers())
        {
            assert_eq!(described.size(), blob(&files, described.digest()).len() as u64);
        }
    }

    #[test]
    fn docker_finds_the_same_image_under_its_name() {
        let files = files(&image(&["one"]).0);
        let docker: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(docker[0]["RepoTags"], serde_json::json!(["holdfast-agent:0.1.0"]));
        for path in [&docker[0]["Config"], &docker[0]["Layers"][0]] {
            assert!(
                files.contains_key(path.as_str().unwrap()),
                "{path} is not in the archive"
            );
        }
    }

    #[test]
    fn an_archive_written_twice_has_the_same_bytes() {
        assert!(image(&["one", "two"]) == image(&["one", "two"]));
        assert!(image(&["one", "two"]) != image(&["two", "one"]));
    }
}
