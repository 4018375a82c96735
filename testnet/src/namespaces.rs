//! Hosts of their own for the nodes of a local network: Linux network namespaces that can be cut off from each other.
//!
//! Each host has two links: one into a bridge, where the nodes meet, and one to this machine alone,
//! for its chain providers, its users and its pages. Only the first is ever cut, so a node that is
//! cut off from the mesh can still be asked what it thinks. A host may be behind a router of its own that
//! lets no other host in (NAT).

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Hosts that the last byte of an address has place for, at four addresses each.
const MAX_HOSTS: usize = 60;

/// Which nodes can talk to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where all are at first.
    Main,
    /// With the others that were put there.
    Other,
    /// With no other host.
    Nowhere,
}

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Name of its namespace.
    pub name: String,
    /// Its address in the mesh.
    pub mesh: IpAddr,
    /// Its address on the link to this machine.
    pub control: IpAddr,
    /// This machine's address on that link.
    pub gateway: IpAddr,
    /// This machine's end of its link into the mesh.
    link: String,
}

/// The hosts; removed when dropped.
pub struct Namespaces {
    hosts: Vec<Host>,
    /// Namespaces of routers.
    routers: Vec<String>,
    /// First bytes of addresses in the mesh.
    mesh: [u8; 2],
    bridges: [String; 2],
}

impl Namespaces {
    /// Makes `count` hosts that can all talk to each other.
    ///
    /// # Errors
    /// What this machine does not allow: it takes root, and the program `ip`.
    pub fn create(count: usize) -> Result<Self> {
        Self::at([10, 213], count)
    }

    /// As [`Self::create`], at addresses that count as some of the internet. They are for benchmarks of
    /// networks (RFC 2544).
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_public(count: usize) -> Result<Self> {
        Self::at([198, 18], count)
    }

    fn at(mesh: [u8; 2], count: usize) -> Result<Self> {
        ensure!(count <= MAX_HOSTS, "at most {MAX_HOSTS} hosts");
        let id = std::process::id();
        let bridges = [format!("qb{id}a"), format!("qb{id}b")];
        let mut all = Self {
            hosts: Vec::new(),
            routers: Vec::new(),
            mesh,
            bridges,
        };
        for bridge in &all.bridges {
            ip(&["link", "add", bridge, "type", "bridge"])?;
            ip(&["link", "set", bridge, "up"])?;
        }
        for number in 0..count {
            all.add(id, number)?;
        }
        Ok(all)
    }

    fn add(&mut self, id: u32, number: usize) -> Result<()> {
        let network = u8::try_from(id % 250)?;
        let number = u8::try_from(number)?;
        let [name, link, inner] = ["ns", "m", "n"].map(|kind| format!("q{id}{kind}{number}"));
        let [here, there] = ["c", "d"].map(|kind| format!("q{id}{kind}{number}"));
        let [a, b] = self.mesh;
        let mesh = Ipv4Addr::new(a, b, network, number + 1);
        let gateway = Ipv4Addr::new(10, 214, network, number * 4 + 1);
        let control = Ipv4Addr::new(10, 214, network, number * 4 + 2);
        // First, so that what follows is removed again if it fails half-way.
        self.hosts.push(Host {
            name: name.clone(),
            mesh: mesh.into(),
            control: control.into(),
            gateway: gateway.into(),
            link: link.clone(),
        });
        let (name, link) = (&name, &link);
        ip(&["netns", "add", name])?;
        ip(&["link", "add", link, "type", "veth", "peer", "name", &inner])?;
        ip(&["link", "add", &here, "type", "veth", "peer", "name", &there])?;
        for (inside, address) in [
            (&inner, format!("{mesh}/24")),
            (&there, format!("{control}/30")),
        ] {
            ip(&["link", "set", inside, "netns", name])?;
            ip(&["-n", name, "addr", "add", &address, "dev", inside])?;
            ip(&["-n", name, "link", "set", inside, "up"])?;
        }
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["addr", "add", &format!("{gateway}/30"), "dev", &here])?;
        ip(&["link", "set", &here, "up"])?;
        ip(&["link", "set", link, "master", &self.bridges[0]])?;
        ip(&["link", "set", link, "up"])
    }

    /// The hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Puts a host behind a router that has its address in the mesh from now on, and lets no host in that was
    /// not called from inside. The host has another address, and cannot be cut off any more.
    ///
    /// # Errors
    /// There is no such host; the machine has no `iptables`, or does not allow it.
    pub fn put_behind_nat(&mut self, number: usize) -> Result<()> {
        let id = std::process::id();
        let host = self.hosts.get_mut(number).context("no such host")?;
        let [router, outside, there] = ["r", "o", "w"].map(|kind| format!("q{id}{kind}{number}"));
        let (name, link, inner) = (&host.name, &host.link, format!("q{id}n{number}"));
        let mesh = host.mesh;
        let gateway = Ipv4Addr::new(192, 168, u8::try_from(number)?, 1);
        let inside = Ipv4Addr::new(192, 168, u8::try_from(number)?, 2);
        host.mesh = inside.into();
        self.routers.push(router.clone());
        let bridge = &self.bridges[0];
        let commands = [
            format!("netns add {router}"),
            format!("link set {link} netns {router}"),
            format!("link add {outside} type veth peer name {there}"),
            format!("link set {there} netns {router}"),
            format!("link set {outside} master {bridge} up"),
            format!("-n {router} addr add {gateway}/24 dev {link}"),
            format!("-n {router} link set {link} up"),
            format!("-n {router} addr add {mesh}/24 dev {there}"),
            format!("-n {router} link set {there} up"),
            format!("-n {name} addr flush dev {inner}"),
            format!("-n {name} addr add {inside}/24 dev {inner}"),
            format!("-n {name} route add default via {gateway}"),
            format!("netns exec {router} sysctl -qw net.ipv4.ip_forward=1"),
            format!("netns exec {router} iptables -t nat -A POSTROUTING -o {there} -j MASQUERADE"),
            format!("netns exec {router} iptables -P INPUT DROP"),
            format!("netns exec {router} iptables -P FORWARD DROP"),
            format!("netns exec {router} iptables -A FORWARD -i {link} -j ACCEPT"),
            format!(
                "netns exec {router} iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
            ),
        ];
        let mut commands = commands.iter();
        commands.try_for_each(|command| ip(&command.split(' ').collect::<Vec<_>>()))
    }

    /// Moves a host's link into the mesh.
    ///
    /// # Errors
    /// There is no such host.
    pub fn put(&self, host: usize, side: Side) -> Result<()> {
        let link = &self.hosts.get(host).context("no such host")?.link;
        match side {
            Side::Main => ip(&["link", "set", link, "master", &self.bridges[0]]),
            Side::Other => ip(&["link", "set", link, "master", &self.bridges[1]]),
            Side::Nowhere => ip(&["link", "set", link, "nomaster"]),
        }
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for router in &self.routers {
            let _ = ip(&["netns", "del", router]);
        }
        for host in &self.hosts {
            // Takes its ends of the links with it, and so the other ends.
            let _ = ip(&["netns", "del", &host.name]);
            let _ = ip(&["link", "del", &host.link]);
        }
        for bridge in &self.bridges {
            let _ = ip(&["link", "del", bridge]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let done = Command::new("ip")
        .args(arguments)
        .output()
        .context("the program `ip` is missing (Debian: apt-get install iproute2)")?;
    if !done.status.success() {
        let why = String::from_utf8_lossy(&done.stderr);
        bail!("ip {}: {}", arguments.join(" "), why.trim());
    }
    Ok(())
}
