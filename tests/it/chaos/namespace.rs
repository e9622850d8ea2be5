//! Hosts with a network of their own: Linux namespaces that last as long as a test. Each is held by a process that ends
//! when its standard input does, so that nothing is left behind even by a test that is killed.
use std::fs::read_link;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a holder may take to be in its namespace.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network of its own and the process that keeps it.
struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Nothing in it is up. Err says why this machine does not let us.
    fn new() -> Result<Self, String> {
        let holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| format!("cannot start `unshare`: {why}"))?;
        let mut new = Self { holder };
        let begun = Instant::now();
        loop {
            if new.holder.try_wait().is_ok_and(|ended| ended.is_some()) || begun.elapsed() > PATIENCE {
                return Err("`unshare --net` is refused: it wants root, or CAP_SYS_ADMIN in a container".to_owned());
            }
            let (here, there) = (read_link("/proc/self/ns/net"), read_link(new.path()));
            if matches!((here, there), (Ok(here), Ok(there)) if here != there) {
                return Ok(new);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn pid(&self) -> u32 {
        self.holder.id()
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.pid())
    }

    /// The words before those of a command that is to run in here. It becomes that command: no process stands between it
    /// and us.
    fn enter(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={}", self.path())]
    }

    /// Runs a command in here, to its end.
    fn run(&self, command: &str) -> Result<(), String> {
        let enter = self.enter();
        let output = Command::new(&enter[0]).args(&enter[1..]).args(command.split(' ')).stdin(Stdio::null()).output();
        let output = output.map_err(|why| format!("cannot start `{command}`: {why}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("`{command}`: {}", said.trim())) }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// How a link is cut. In neither case is anybody told: no packet comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The switch's port is shut: the host sees that its cable carries nothing.
    Down,
    /// The port no longer belongs to the switch: every interface is up, and what is sent is gone.
    Silent,
}

/// Hosts on one switch: 10.77.0.1, 10.77.0.2, and so on. The switch is in a namespace, too; nothing leads outside.
pub(super) struct Network {
    switch: Namespace,
    hosts: Vec<Namespace>,
}

impl Network {
    /// Err says why this machine does not let us.
    pub(super) fn new(hosts: usize) -> Result<Self, String> {
        let switch = Namespace::new()?;
        switch.run("ip link add switch type bridge")?;
        switch.run("ip link set switch up")?;
        let mut network = Self { switch, hosts: vec![] };
        for index in 0..hosts {
            let host = Namespace::new()?;
            let switch = &network.switch;
            switch.run(&format!("ip link add port{index} type veth peer name eth0 netns {}", host.pid()))?;
            switch.run(&format!("ip link set port{index} master switch up"))?;
            host.run(&format!("ip addr add 10.77.0.{}/24 dev eth0", index + 1))?;
            host.run("ip link set eth0 up")?;
            host.run("ip link set lo up")?;
            network.hosts.push(host);
        }
        Ok(network)
    }

    pub(super) fn enter(&self, host: usize) -> Vec<String> {
        self.hosts[host].enter()
    }

    pub(super) fn cut(&self, host: usize, how: Cut) {
        let what = match how {
            Cut::Down => "down",
            Cut::Silent => "nomaster",
        };
        self.switch.run(&format!("ip link set port{host} {what}")).unwrap();
    }

    pub(super) fn heal(&self, host: usize) {
        self.switch.run(&format!("ip link set port{host} master switch up")).unwrap();
    }
}

/// Says something that is seen whether or not the test passes.
pub(super) fn loudly(what: &str) {
    // Not captured, unlike what `eprintln!` writes.
    let _ = writeln!(std::io::stderr().lock(), "chaos: {what}");
}
