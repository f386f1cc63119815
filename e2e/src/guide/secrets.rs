//! What `kubeadm init` prints at its end, and its reader needs for the other nodes.

/// The two commands for other nodes, and the secrets in them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Printed {
    /// The command for workers, as printed.
    pub worker: String,
    token: String,
    ca_hash: String,
    certificate_key: String,
}

impl Printed {
    /// Finds the commands in what was printed.
    ///
    /// # Errors
    /// When one of them is missing, or has a secret less.
    pub fn find(output: &str) -> crate::Result<Self> {
        let commands = commands(output);
        let command = |for_control_plane: bool| {
            let mut found = commands
                .iter()
                .filter(|command| command.contains("--control-plane") == for_control_plane);
            found.next().ok_or_else(|| {
                format!("kubeadm printed no command to join (for the control plane: {for_control_plane}):\n{output}")
            })
        };
        let control_plane = command(true)?;
        let after = |flag: &str| {
            let mut words = control_plane.split_whitespace();
            words.find(|word| *word == flag);
            words
                .next()
                .map(str::to_owned)
                .ok_or_else(|| format!("kubeadm's command has no {flag}: {control_plane}"))
        };
        Ok(Self {
            token: after("--token")?,
            ca_hash: after("--discovery-token-ca-cert-hash")?,
            certificate_key: after("--certificate-key")?,
            worker: command(false)?.clone(),
        })
    }

    /// The guide's `join.yaml` with the three secrets in their places.
    ///
    /// # Errors
    /// When the file has not exactly one place for each.
    pub fn put_into(&self, join: &str) -> crate::Result<String> {
        let places = [
            ("certificateKey: ", format!("\"{}\"", self.certificate_key)),
            ("token: ", self.token.clone()),
            ("- sha256:", self.ca_hash.trim_start_matches("sha256:").to_owned()),
        ];
        let mut lines: Vec<String> = join.lines().map(str::to_owned).collect();
        for (key, secret) in places {
            let mut found = lines.iter_mut().filter(|line| line.trim_start().starts_with(key));
            let (Some(line), None) = (found.next(), found.next()) else {
                return Err(format!("not exactly one line of join.yaml begins with `{key}`").into());
            };
            let indented = line.len() - line.trim_start().len();
            line.replace_range(indented + key.len().., &secret);
        }
        Ok(lines.iter().flat_map(|line| [line, "\n"]).collect())
    }
}

/// The commands that begin with `kubeadm join`, with their continued lines.
fn commands(output: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = output.lines();
    while let Some(line) = lines.next() {
        if !line.trim_start().starts_with("kubeadm join ") {
            continue;
        }
        let mut command = line.trim_start().to_owned();
        while command.ends_with('\\') {
            command.push('\n');
            command.push_str(lines.next().unwrap_or_default());
        }
        found.push(command.trim_end().to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Your Kubernetes control-plane has initialized successfully!\n\n  kubeadm join 10.0.0.100:6443 --token aaaaaa.bbbb \\\n\
                          \t--discovery-token-ca-cert-hash sha256:cccc \\\n\t--control-plane --certificate-key dddd\n\nThen you can join\n\n\
                          kubeadm join 10.0.0.100:6443 --token aaaaaa.bbbb \\\n\t--discovery-token-ca-cert-hash sha256:cccc \n";

    #[test]
    fn what_kubeadm_prints_has_a_command_for_workers_and_three_secrets() {
        let printed = Printed::find(OUTPUT).expect("all is there");
        assert_eq!(
            printed.worker,
            "kubeadm join 10.0.0.100:6443 --token aaaaaa.bbbb \\\n\t--discovery-token-ca-cert-hash sha256:cccc"
        );
        let join = "controlPlane:\n  certificateKey: \"0000\"\nbootstrapToken:\n    token: abc\n    caCertHashes:\n    - sha256:0000\n";
        assert_eq!(
            printed.put_into(join).expect("three places"),
            "controlPlane:\n  certificateKey: \"dddd\"\nbootstrapToken:\n    token: aaaaaa.bbbb\n    caCertHashes:\n    - sha256:cccc\n"
        );
    }

    #[test]
    fn what_lacks_a_secret_or_a_place_for_it_is_refused() {
        let without_key = OUTPUT.replace(" --certificate-key dddd", "");
        assert!(Printed::find(&without_key).is_err(), "without --upload-certs");
        assert!(Printed::find("it failed").is_err());
        let printed = Printed::find(OUTPUT).expect("all is there");
        let error = printed
            .put_into("token: abc\n")
            .expect_err("two places are missing");
        assert_eq!(
            error.to_string(),
            "not exactly one line of join.yaml begins with `certificateKey: `"
        );
    }
}
