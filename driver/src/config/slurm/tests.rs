use std::path::Path;

use super::super::check_text;
use super::*;
use crate::launch::slurm::DriverPlace;

fn setup(slurm: &str) -> Result<Option<Setup>, Vec<String>> {
    let head = "
        sweep = { name = \"s\", metric = \"loss\", max_trials = 9 }
        space = { x = { uniform = [-5, 10] }, y = { uniform = [0, 15] } }
        scheduler = { kind = \"fifo\", max_resource = 3 }
        trial = { kind = \"synthetic\", function = \"branin\", grace = \"20s\" }\n";
    let checked = check_text(&format!("{head}{slurm}"), Path::new("sweep.toml"), &|_| None);
    checked.map(|checked| checked.slurm).map_err(|faults| faults.all().iter().map(|fault| fault.message.clone()).collect())
}

#[test]
fn a_file_without_slurm_has_none_and_an_empty_table_is_enough() {
    assert_eq!(setup(""), Ok(None));
    let wanted = Setup {
        settings: Settings { requeue: true, notice: 80_000, ..Settings::default() },
        max_workers: 8,
        slots: 1,
        gpus: false,
        driver: DriverPlace::Login,
        driver_options: vec![],
        submit_from_nodes: false,
        poll: 30_000,
    };
    assert_eq!(setup("slurm = {}"), Ok(Some(wanted)));
}

#[test]
fn every_key_is_read() {
    let all = "[slurm]\npartition = 'gpu'\naccount = 'proj'\nqos = 'long'\nconstraint = 'a100|h100'\ngres = 'gpu:a100:2'\nmem = '8G'\n\
               time = '04:00:00'\ncpus_per_task = 4\nexclude = ['n1', 'n2']\nmax_workers = 32\nthrottle = 16\nrequeue = false\n\
               notice = '5m'\ndriver = 'job'\ndriver_options = ['--partition=cpu']\nsubmit_from_nodes = true\n\
               extra = ['--exclusive', '--comment=a b']\nremove = ['--open-mode=append']\nprologue = ['module load cuda']\npoll = '1m'";
    let setup = setup(all).unwrap().unwrap();
    assert_eq!((setup.slots, setup.gpus, setup.max_workers, setup.poll), (2, true, 32, 60_000));
    assert_eq!((setup.driver, setup.submit_from_nodes, setup.driver_options), (DriverPlace::Job, true, vec!["--partition=cpu".to_owned()]));
    let settings = setup.settings;
    assert_eq!((settings.time, settings.notice, settings.throttle), (Some(14_400_000), 300_000, Some(16)));
    assert_eq!((settings.exclude.len(), settings.requeue, settings.cpus_per_task), (2, false, Some(4)));
    assert_eq!(settings.constraint.as_deref(), Some("a100|h100"));
    assert_eq!((settings.extra.len(), settings.remove), (2, vec!["--open-mode".to_owned()]), "a name is enough to remove an option");
}

#[test]
fn gpus_are_counted_as_slurm_writes_them() {
    for (gres, gpus) in
        [("gpu", Some(1)), ("gpu:2", Some(2)), ("gpu:a100:4", Some(4)), ("nvme:1,gpu:3", Some(3)), ("nvme:1", None), ("gpu:0", None)]
    {
        assert_eq!(gpus_of(gres), gpus, "{gres}");
    }
}

#[test]
fn what_no_script_can_say_is_refused() {
    for (key, wrong) in [
        ("partition = 'a b'", "`a b` cannot be a value of `partition`"),
        ("exclude = ['n1', '']", "`` cannot be a value of `exclude`"),
        ("extra = ['-p x']", "`-p x` is not an option of sbatch in its long form"),
        ("extra = ['--array=0-3']", "`--array` is set by hpo itself"),
        ("driver_options = ['exclusive']", "`exclusive` is not an option of sbatch in its long form"),
        ("notice = '10s'", "with a notice of 10s a trainer that takes its grace of 20s would be killed before it has saved its state"),
        ("time = '1m'", "a time limit of 1m leaves nothing before the notice of 1m 20s"),
        ("poll = '100ms'", "100ms is out of range: expected at least 1s"),
        ("driver = 'cloud'", "`cloud` is not a known place for the driver"),
    ] {
        assert_eq!(setup(&format!("slurm = {{ {key} }}")), Err(vec![wrong.to_owned()]));
    }
}
