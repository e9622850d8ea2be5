//! What Slurm says of its queue, and its lengths of time.
use hpo_driver::launch::slurm::queue::{Queue, time};

use crate::{Target, scratch};

pub(crate) const TARGET: Target = Target {
    name: "queue",
    run,
    examples,
    found: &[],
    words: &["|", "_", "RUNNING", "PENDING", "COMPLETING", "(null)", "UNLIMITED", "18446744073709551615", "4294967296", "-", ":", "\r\n"],
    // A line of seven columns is three strings of its own.
    bytes_per_byte: 64,
};

fn examples() -> Vec<Vec<u8>> {
    let queue = "14_0|15|RUNNING|None|3:59:12|n1|hpo-1f\n14_3|14|PENDING|Resources|4:00:00||hpo-1f\n\n\
                 20|20|COMPLETING|None|UNLIMITED|n2|a|b\n21_1|23|NODE_FAIL|None|1-00:00:00|(null)|hpo-1f\n";
    let strange = "Welcome to our cluster!\n7_[1-9%3]|8|DANCING|None|0:00|n[1-4]|x\n7_|9|RUNNING|None|1:00|n1|x\n7_2|9|RUNN";
    vec![queue.as_bytes().to_vec(), strange.as_bytes().to_vec()]
}

fn run(data: &[u8]) {
    let (first, rest) = scratch::halves(data);
    let text = String::from_utf8_lossy(data);
    let queue = Queue::read(&text);
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    assert_eq!(queue.tasks.len() + queue.strange, lines, "each line is a task or strange");
    for task in &queue.tasks {
        let said = [&task.reason, &task.node, &task.name].map(String::len).iter().sum::<usize>();
        assert!(said <= text.len(), "nothing is said that was not there");
    }
    for text in [first, rest].map(String::from_utf8_lossy) {
        if let Some(millis) = time(text.trim()) {
            assert!(millis.is_multiple_of(1000), "Slurm counts in seconds");
        }
    }
}
