//! `holdfast-operator uninstall-check`: whether Holdfast may be taken out of the cluster. Without an operator nobody
//! withdraws a group's addresses, and without agents nobody serves them.

use core::time::Duration;

use anyhow::Context as _;
use holdfast_api::v1alpha1::VirtualIPGroup;
use kube::api::{ListParams, PartialObjectMeta};
use kube::{Api, Client};

use crate::error::{Category, because};

/// How long the API server may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The names of the groups that are in the way; none if the kind does not exist.
pub async fn groups_in_the_way(client: Client) -> anyhow::Result<Vec<String>> {
    let groups: Api<PartialObjectMeta<VirtualIPGroup>> = Api::all(client);
    let parameters = ListParams::default();
    let list = tokio::time::timeout(TIMEOUT, groups.list_metadata(&parameters))
        .await
        .with_context(|| format!("listing VirtualIPGroups: no answer within {}s", TIMEOUT.as_secs()))?;
    match list {
        Ok(list) => Ok(list.iter().map(kube::ResourceExt::name_any).collect()),
        Err(error) if Category::of(&error) == Category::NotFound => Ok(Vec::new()),
        Err(error) => Err(anyhow::anyhow!("listing VirtualIPGroups: {}", because(&error))),
    }
}

/// What to say of the groups that are in the way.
pub fn refusal(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(20)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    let more = names.len().saturating_sub(20);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!(
        "{} VirtualIPGroup(s) still exist: {shown}{more}. Their addresses would stay on the nodes that hold them, and \
         nobody would take them over. Delete the groups first, and wait until they are gone:\n  \
         kubectl delete virtualipgroups {shown}\nor keep Holdfast",
        names.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_names_the_groups_and_says_what_to_do() {
        let names: Vec<String> = (1..=22).map(|number| format!("g{number}")).collect();
        let sentence = refusal(&names);
        assert!(sentence.starts_with("22 VirtualIPGroup(s) still exist: g1 g2 "));
        assert!(sentence.contains("and 2 more"));
        assert!(sentence.contains("kubectl delete virtualipgroups g1"));
    }
}
