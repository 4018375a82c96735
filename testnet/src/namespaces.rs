//! Hosts of their own for the nodes of a local network: Linux network namespaces that can be cut off from each other.
//!
//! Each host has two links: one into a bridge, where the nodes meet, and one to this machine alone,
//! for its chain providers, its users and its pages. Only the first is ever cut, so a node that is
//! cut off from the mesh can still be asked what it thinks.

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
    /// With nobody.
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
    bridges: [String; 2],
}

impl Namespaces {
    /// Makes `count` hosts that can all talk to each other.
    ///
    /// # Errors
    /// What this machine does not allow: it takes root, and the program `ip`.
    pub fn create(count: usize) -> Result<Self> {
        ensure!(count <= MAX_HOSTS, "at most {MAX_HOSTS} hosts");
        let id = std::process::id();
        let bridges = [format!("qb{id}a"), format!("qb{id}b")];
        let mut all = Self {
            hosts: Vec::new(),
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
        let mesh = Ipv4Addr::new(10, 213, network, number + 1);
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
