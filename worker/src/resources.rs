//! What this machine has to offer: one slot a GPU (or share of one), else one a core.
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hpo_core::sweep::event;

/// A whole GPU in thousandths.
pub const WHOLE_GPU: u32 = 1000;
/// A driver accepts no worker with more.
const SLOTS_MAX: usize = 1024;
/// A driver that hangs must not keep a worker from starting.
const SMI_WAIT: Duration = Duration::from_secs(15);

/// A place where one trainer runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What it is, for people.
    pub name: String,
    /// Thousandths of a GPU; 0 for a core.
    pub milli_gpus: u32,
    /// What `CUDA_VISIBLE_DEVICES` of its trainers must say; none for a core.
    pub gpu: Option<String>,
}

impl Slot {
    /// As the driver is told of it.
    #[must_use]
    pub fn offer(&self) -> event::Slot {
        event::Slot { name: self.name.clone(), milli_gpus: self.milli_gpus }
    }
}

/// What is wanted of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// So many slots; else as many as there is room for.
    pub slots: Option<u16>,
    /// Whether GPUs may be used.
    pub gpus: bool,
    /// The share of a GPU that a slot gets, in thousandths; less where `slots` are more than fit.
    pub milli_gpus: u32,
    /// Cores that a batch system gave this worker; else all that the kernel lets it use.
    pub cores: Option<usize>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { slots: None, gpus: true, milli_gpus: WHOLE_GPU, cores: None }
    }
}

/// A GPU as it is named to CUDA and to people.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gpu {
    id: String,
    name: String,
}

/// The slots of this machine; never none. GPUs that `CUDA_VISIBLE_DEVICES` hides are not offered. May take some seconds
/// where NVIDIA's driver is slow to answer.
#[must_use]
pub fn discover(wanted: Wanted) -> Vec<Slot> {
    let gpus = if wanted.gpus {
        let variable = |name| std::env::var(name).ok();
        let by_bus = variable("CUDA_DEVICE_ORDER").is_some_and(|order| order == "PCI_BUS_ID");
        visible_gpus(variable("CUDA_VISIBLE_DEVICES").as_deref(), by_bus, installed())
    } else {
        Vec::new()
    };
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    // Where nothing confines its jobs, the kernel knows nothing of what a batch system gave them.
    divide(wanted, &gpus, wanted.cores.map_or(usable, |given| given.min(usable)))
}

/// GPUs or cores, divided into slots.
fn divide(wanted: Wanted, gpus: &[Gpu], cores: usize) -> Vec<Slot> {
    if gpus.is_empty() {
        let count = wanted.slots.map_or(cores, usize::from).clamp(1, SLOTS_MAX);
        return vec![Slot { name: "cpu core".to_owned(), milli_gpus: 0, gpu: None }; count];
    }
    let share = wanted.milli_gpus.clamp(1, WHOLE_GPU);
    let per_gpu = (WHOLE_GPU / share) as usize;
    let count = wanted.slots.map_or(gpus.len() * per_gpu, usize::from).clamp(1, SLOTS_MAX);
    // Asked for more slots than fit, they share: the fullest GPU says how much each gets.
    let most = count.div_ceil(gpus.len()) as u32;
    let milli_gpus = share.min((WHOLE_GPU / most).max(1));
    let slot = |gpu: &Gpu| Slot { name: gpu.name.clone(), milli_gpus, gpu: Some(gpu.id.clone()) };
    gpus.iter().cycle().take(count).map(slot).collect()
}

/// `CUDA_VISIBLE_DEVICES` as CUDA reads it: numbers, or UUIDs and their beginnings; the first that is none ends the list.
/// Its words are kept as they are, for only CUDA knows its own order of numbers, unless it was told to take the bus's
/// (`by_bus`): then a number names a card, too, and so does the only one there is. In a cgroup every job's first is 0.
fn visible_gpus(visible: Option<&str>, by_bus: bool, installed: Vec<Gpu>) -> Vec<Gpu> {
    let Some(visible) = visible else { return installed };
    let named = |id: &str| {
        let number = id.parse::<usize>().ok().filter(|_| by_bus || installed.len() == 1);
        let gpu = number.map_or_else(|| installed.iter().find(|gpu| gpu.id.starts_with(id)), |number| installed.get(number));
        gpu.map(|gpu| gpu.name.clone())
    };
    let valid = |id: &&str| id.parse::<u32>().is_ok() || id.starts_with("GPU-") || id.starts_with("MIG-");
    let ids = visible.split(',').map(str::trim).take_while(valid);
    ids.map(|id| Gpu { id: id.to_owned(), name: named(id).unwrap_or_else(|| format!("GPU {id}")) }).collect()
}

/// The machine's NVIDIA GPUs, by what `nvidia-smi` says, else by what the kernel module says.
fn installed() -> Vec<Gpu> {
    match answer(Command::new("nvidia-smi").args(["--query-gpu=uuid,name", "--format=csv,noheader"]), SMI_WAIT) {
        Ok(output) => from_smi(&output),
        Err(why) => {
            tracing::debug!(%why, "nvidia-smi");
            from_proc(Path::new("/proc/driver/nvidia/gpus"))
        }
    }
}

/// What a program prints if it ends well and in time; little enough to fit into a pipe.
fn answer(command: &mut Command, wait: Duration) -> io::Result<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let begun = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if begun.elapsed() < wait => std::thread::sleep(Duration::from_millis(20)),
            None => {
                child.kill()?;
                // One that cannot even die (a hung driver) is left to the system.
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"));
            }
        }
    };
    if !status.success() {
        return Err(io::Error::other(format!("it ended with {status}")));
    }
    let mut output = String::new();
    child.stdout.take().map(|mut stdout| stdout.read_to_string(&mut output)).transpose()?;
    Ok(output)
}

/// `GPU-3f1e..., NVIDIA H200` a line.
fn from_smi(output: &str) -> Vec<Gpu> {
    let gpu = |line: &str| {
        let (id, name) = line.split_once(',')?;
        gpu(id, name)
    };
    output.lines().filter_map(gpu).collect()
}

/// `Model:  NVIDIA H200` and `GPU UUID:  GPU-3f1e...` in a file for each GPU.
fn from_proc(folder: &Path) -> Vec<Gpu> {
    let Ok(found) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = found.flatten().map(|gpu| gpu.path().join("information")).collect();
    files.sort();
    let texts = files.into_iter().filter_map(|file| std::fs::read_to_string(file).ok());
    texts.filter_map(|text| gpu(field(&text, "GPU UUID:")?, field(&text, "Model:")?)).collect()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim_start().strip_prefix(name))
}

fn gpu(id: &str, name: &str) -> Option<Gpu> {
    let (id, name) = (id.trim(), name.trim());
    id.starts_with("GPU-").then(|| Gpu { id: id.to_owned(), name: format!("{name} {id:.12}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMI: &str = "GPU-3f1e9a52-0001, NVIDIA H200\nGPU-77aa0b13-0002, NVIDIA H200\n";

    fn ids(slots: &[Slot]) -> Vec<(&str, u32)> {
        slots.iter().map(|slot| (slot.gpu.as_deref().unwrap_or("core"), slot.milli_gpus)).collect()
    }

    #[test]
    fn one_slot_a_gpu_or_share_or_core() {
        let gpus = from_smi(SMI);
        assert_eq!(gpus[0].name, "NVIDIA H200 GPU-3f1e9a52");
        let (first, second) = ("GPU-3f1e9a52-0001", "GPU-77aa0b13-0002");
        assert_eq!(ids(&divide(Wanted::default(), &gpus, 64)), [(first, 1000), (second, 1000)]);
        let halves = Wanted { milli_gpus: 500, ..Wanted::default() };
        assert_eq!(ids(&divide(halves, &gpus, 64)), [(first, 500), (second, 500), (first, 500), (second, 500)]);
        let three = Wanted { slots: Some(3), ..Wanted::default() };
        assert_eq!(ids(&divide(three, &gpus, 64)), [(first, 500), (second, 500), (first, 500)]);
        let one = Wanted { slots: Some(1), ..Wanted::default() };
        assert_eq!(ids(&divide(one, &gpus, 64)), [(first, 1000)]);
        assert_eq!(ids(&divide(Wanted { milli_gpus: 250, ..one }, &gpus, 64)), [(first, 250)]);
        assert_eq!(ids(&divide(Wanted::default(), &[], 2)), [("core", 0), ("core", 0)]);
        assert_eq!(ids(&divide(three, &[], 2)), [("core", 0); 3]);
        assert_eq!(divide(Wanted { slots: Some(0), ..three }, &[], 2).len(), 1);
        assert_eq!(divide(Wanted { slots: Some(60_000), ..three }, &gpus, 2).len(), SLOTS_MAX);
        assert_eq!(divide(Wanted { milli_gpus: 0, ..Wanted::default() }, &gpus, 2).len(), SLOTS_MAX);
    }

    #[test]
    fn hidden_gpus_are_not_offered() {
        let seen =
            |visible| visible_gpus(Some(visible), false, from_smi(SMI)).into_iter().map(|gpu| (gpu.id, gpu.name)).collect::<Vec<_>>();
        let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        assert_eq!(visible_gpus(None, false, from_smi(SMI)).len(), 2);
        assert_eq!(seen(""), []);
        assert_eq!(seen("-1"), []);
        assert_eq!(seen("NoDevFiles"), []);
        assert_eq!(seen("1,-1,0"), [pair("1", "GPU 1")]);
        assert_eq!(seen("GPU-77aa, 0"), [pair("GPU-77aa", "NVIDIA H200 GPU-77aa0b13"), pair("0", "GPU 0")]);
        assert_eq!(seen("MIG-12"), [pair("MIG-12", "GPU MIG-12")]);
        let by_bus = visible_gpus(Some("1,7"), true, from_smi(SMI));
        assert_eq!(by_bus[0], Gpu { id: "1".to_owned(), name: "NVIDIA H200 GPU-77aa0b13".to_owned() }, "the number stays CUDA's");
        assert_eq!(by_bus[1].name, "GPU 7");
        let alone = visible_gpus(Some("0"), false, from_smi(SMI).into_iter().take(1).collect());
        assert_eq!(alone[0].name, "NVIDIA H200 GPU-3f1e9a52", "in a cgroup every job's first is 0");
    }

    #[test]
    fn the_kernel_module_knows_them_too() {
        let folder = tempfile::tempdir().unwrap();
        let gpu = folder.path().join("0000:19:00.0");
        std::fs::create_dir(&gpu).unwrap();
        std::fs::write(gpu.join("information"), "Model: \t\t NVIDIA H200\nIRQ:   \t\t 18\nGPU UUID: \t GPU-3f1e9a52-0001\n").unwrap();
        let found = from_proc(folder.path());
        assert_eq!(found, [Gpu { id: "GPU-3f1e9a52-0001".to_owned(), name: "NVIDIA H200 GPU-3f1e9a52".to_owned() }]);
        assert_eq!(from_proc(Path::new("/nowhere")), []);
        assert_eq!(from_smi("No devices were found\n"), []);
    }

    #[test]
    fn there_is_always_a_slot() {
        let slots = discover(Wanted { gpus: false, ..Wanted::default() });
        assert_eq!(slots.len(), std::thread::available_parallelism().unwrap().get());
        assert_eq!(discover(Wanted { gpus: false, cores: Some(1), ..Wanted::default() }).len(), 1, "what the batch system gave");
        assert_eq!(discover(Wanted { gpus: false, cores: Some(4096), ..Wanted::default() }).len(), slots.len());
        assert!(slots.iter().all(|slot| slot.gpu.is_none() && slot.offer().milli_gpus == 0));
    }

    #[test]
    fn a_program_that_does_not_answer_is_not_waited_for() {
        let sh = |script: &str, wait| answer(Command::new("/bin/sh").args(["-c", script]), wait);
        assert_eq!(sh("echo GPU-1, x", SMI_WAIT).unwrap(), "GPU-1, x\n");
        assert!(sh("exit 9", SMI_WAIT).is_err());
        assert_eq!(sh("exec sleep 60", Duration::from_millis(300)).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
