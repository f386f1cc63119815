//! Checks of the election itself: identifier, version, interval, family, preemption, authentication.

use core::net::IpAddr;

use holdfast_vrrp::{Interval, Version};

use super::cel::Cel;
use super::{Finding, election_family, is_label, networks};
use crate::v1alpha1::{AuthenticationType, Family, Mode, PreemptionType, VirtualIPGroup};

const VERSION_2: i32 = 2;
const VERSION_3: i32 = 3;
const OWNER: i32 = 255;

/// Places in the schema.
const ADVERTISEMENT: &[&str] = &["spec.advertisement"];
const PREEMPTION: &[&str] = &["spec.preemption"];
const AUTHENTICATION: &[&str] = &["spec.authentication"];

pub(super) const NAME: Cel = Cel::new(
    &[""],
    "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
)
.value("self.metadata.name");

pub(super) fn name(group: &VirtualIPGroup) -> Vec<Finding> {
    let name = group.metadata.name.as_deref().unwrap_or_default();
    when(!is_label(name), Finding::at("metadata.name").value(name))
}

pub(super) fn virtual_router_id(group: &VirtualIPGroup) -> Vec<Finding> {
    when(
        group.spec.virtual_router_id.is_none(),
        Finding::at("spec.virtualRouterID"),
    )
}

pub(super) const VERSION_FAMILY: Cel =
    Cel::new(&["spec"], "self.advertisement.version != 2 || !$ipv6").field(".advertisement.version");

pub(super) fn version_family(group: &VirtualIPGroup) -> Vec<Finding> {
    let ipv6 = election_family(&group.spec) == Some(Family::IPv6);
    when(
        group.spec.advertisement.version == VERSION_2 && ipv6,
        Finding::at("spec.advertisement.version").value(2),
    )
}

pub(super) const INTERVAL_V3: Cel = Cel::new(
    ADVERTISEMENT,
    "self.version != 3 || !$readable || $multiple(10) && duration(self.interval) >= duration('10ms') \
     && duration(self.interval) <= duration('40950ms')",
)
.field(".interval");

pub(super) fn interval_v3(group: &VirtualIPGroup) -> Vec<Finding> {
    interval(group, VERSION_3, Version::V3)
}

pub(super) const INTERVAL_V2: Cel = Cel::new(
    ADVERTISEMENT,
    "self.version != 2 || !$readable || $multiple(1000) && duration(self.interval) >= duration('1s') \
     && duration(self.interval) <= duration('255s')",
)
.field(".interval");

pub(super) fn interval_v2(group: &VirtualIPGroup) -> Vec<Finding> {
    interval(group, VERSION_2, Version::V2)
}

fn interval(group: &VirtualIPGroup, number: i32, version: Version) -> Vec<Finding> {
    let advertisement = &group.spec.advertisement;
    let wrong =
        advertisement.version == number && Interval::new(version, advertisement.interval.get()).is_err();
    when(wrong, Finding::at("spec.advertisement.interval"))
}

pub(super) const FAMILY: Cel = Cel::new(
    &["spec"],
    "!has(self.advertisement.family) || self.addresses.exists(a, $elected)",
)
.field(".advertisement.family")
.value("self.advertisement.family");

pub(super) fn family(group: &VirtualIPGroup) -> Vec<Finding> {
    let Some(family) = group.spec.advertisement.family else {
        return Vec::new();
    };
    let none = !networks(&group.spec).any(|(_, network)| Family::of(network.addr()) == family);
    when(none, Finding::at("spec.advertisement.family").value(family))
}

pub(super) const MULTICAST_GROUP: Cel = Cel::new(
    &["spec"],
    "!has(self.advertisement.multicastGroup) || !$ipv4 && !$ipv6 || isIP(self.advertisement.multicastGroup) \
     && cidr($ipv4 ? '224.0.0.0/4' : 'ff00::/8').containsIP(self.advertisement.multicastGroup)",
)
.field(".advertisement.multicastGroup")
.value("self.advertisement.multicastGroup")
.other("$family");

pub(super) fn multicast_group(group: &VirtualIPGroup) -> Vec<Finding> {
    let (Some(written), Some(family)) = (
        &group.spec.advertisement.multicast_group,
        election_family(&group.spec),
    ) else {
        return Vec::new();
    };
    let address = written.parse::<IpAddr>();
    let right = address.is_ok_and(|address| address.is_multicast() && Family::of(address) == family);
    when(
        !right,
        Finding::at("spec.advertisement.multicastGroup")
            .value(written)
            .other(family),
    )
}

pub(super) const MULTICAST_GROUP_MODE: Cel = Cel::new(
    ADVERTISEMENT,
    "self.mode != 'Unicast' || !has(self.multicastGroup)",
)
.field(".multicastGroup");

pub(super) fn multicast_group_mode(group: &VirtualIPGroup) -> Vec<Finding> {
    let advertisement = &group.spec.advertisement;
    let unused = advertisement.mode == Mode::Unicast && advertisement.multicast_group.is_some();
    when(unused, Finding::at("spec.advertisement.multicastGroup"))
}

pub(super) const PREEMPTION_DELAY: Cel =
    Cel::new(PREEMPTION, "self.type != 'Delayed' || has(self.delay)").field(".delay");

pub(super) fn preemption_delay(group: &VirtualIPGroup) -> Vec<Finding> {
    let preemption = &group.spec.preemption;
    let missing = preemption.type_ == PreemptionType::Delayed && preemption.delay.is_none();
    when(missing, Finding::at("spec.preemption.delay"))
}

pub(super) const PREEMPTION_NO_DELAY: Cel =
    Cel::new(PREEMPTION, "self.type == 'Delayed' || !has(self.delay)")
        .field(".delay")
        .value("self.type");

pub(super) fn preemption_no_delay(group: &VirtualIPGroup) -> Vec<Finding> {
    let preemption = &group.spec.preemption;
    let unused = preemption.type_ != PreemptionType::Delayed && preemption.delay.is_some();
    when(
        unused,
        Finding::at("spec.preemption.delay").value(format!("{:?}", preemption.type_)),
    )
}

pub(super) fn owner_preempts(group: &VirtualIPGroup) -> Vec<Finding> {
    let spec = &group.spec;
    let owner = spec.priority == OWNER
        || spec
            .node_overrides
            .iter()
            .any(|change| change.priority == Some(OWNER));
    let waits = spec.preemption.type_ != PreemptionType::Immediate;
    when(
        owner && waits,
        Finding::at("spec.preemption.type").value(format!("{:?}", spec.preemption.type_)),
    )
}

pub(super) const AUTHENTICATION_BUILT: Cel = Cel::new(AUTHENTICATION, "!(self.type in ['AH', 'HMAC'])")
    .field(".type")
    .value("self.type");

pub(super) fn authentication_built(group: &VirtualIPGroup) -> Vec<Finding> {
    let kind = group.spec.authentication.type_;
    let missing = matches!(kind, AuthenticationType::AH | AuthenticationType::HMAC);
    when(
        missing,
        Finding::at("spec.authentication.type").value(format!("{kind:?}")),
    )
}

pub(super) const PASSWORD_VERSION: Cel = Cel::new(
    &["spec"],
    "self.authentication.type != 'Password' || self.advertisement.version != 3",
)
.field(".authentication.type");

pub(super) fn password_version(group: &VirtualIPGroup) -> Vec<Finding> {
    let v3 = group.spec.advertisement.version == VERSION_3;
    when(has_password(group) && v3, Finding::at("spec.authentication.type"))
}

pub(super) const PASSWORD_SOURCE: Cel = Cel::new(
    AUTHENTICATION,
    "self.type != 'Password' || has(self.file) != has(self.secretRef)",
);

pub(super) fn password_source(group: &VirtualIPGroup) -> Vec<Finding> {
    let authentication = &group.spec.authentication;
    let one = authentication.file.is_some() != authentication.secret_ref.is_some();
    when(has_password(group) && !one, Finding::at("spec.authentication"))
}

pub(super) fn password_file(group: &VirtualIPGroup) -> Vec<Finding> {
    let authentication = &group.spec.authentication;
    let secret = authentication.secret_ref.is_some() && authentication.file.is_none();
    when(
        has_password(group) && secret,
        Finding::at("spec.authentication.secretRef"),
    )
}

pub(super) const PASSWORD_PATH: Cel =
    Cel::new(&["spec.authentication.file"], "self.startsWith('/')").value("self");

pub(super) fn password_path(group: &VirtualIPGroup) -> Vec<Finding> {
    let file = group.spec.authentication.file.as_ref();
    let relative = file.filter(|file| !file.starts_with('/'));
    relative
        .map(|file| Finding::at("spec.authentication.file").value(file))
        .into_iter()
        .collect()
}

pub(super) const PASSWORD_UNUSED: Cel = Cel::new(
    AUTHENTICATION,
    "self.type != 'None' || !has(self.file) && !has(self.secretRef)",
)
.value("(!has(self.secretRef) ? '`file`' : has(self.file) ? '`file` and `secretRef`' : '`secretRef`')");

pub(super) fn password_unused(group: &VirtualIPGroup) -> Vec<Finding> {
    let authentication = &group.spec.authentication;
    let unused = match (&authentication.file, &authentication.secret_ref) {
        _ if authentication.type_ != AuthenticationType::None => return Vec::new(),
        (None, None) => return Vec::new(),
        (Some(_), None) => "`file`",
        (None, Some(_)) => "`secretRef`",
        (Some(_), Some(_)) => "`file` and `secretRef`",
    };
    vec![Finding::at("spec.authentication").value(unused)]
}

fn has_password(group: &VirtualIPGroup) -> bool {
    group.spec.authentication.type_ == AuthenticationType::Password
}

fn when(broken: bool, finding: Finding) -> Vec<Finding> {
    if broken { vec![finding] } else { Vec::new() }
}
