//! A worker's end of a real connection, for tests.
use std::time::Duration;

use hpo_core::WorkerId;
use hpo_core::sweep::event::{Held, Slot};
use hpo_wire::pb::fleet_client::FleetClient;
use hpo_wire::{FromDriver, FromWorker, Hello, PROTOCOL, TOKEN_HEADER, Trust, bearer, dial, from_driver, pb};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

/// Nothing in these tests takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct FakeWorker {
    pub(crate) id: WorkerId,
    out: mpsc::Sender<pb::FromWorker>,
    words: Streaming<pb::FromDriver>,
}

pub(crate) fn hello(id: u128, slots: usize) -> Hello {
    let slot = Slot { name: "cpu core".into(), milli_gpus: 0 };
    Hello {
        protocol: PROTOCOL,
        worker: WorkerId(id),
        name: format!("fake-{id}"),
        slots: vec![slot; slots],
        holds: vec![],
        sweep: String::new(),
        version: "test".into(),
        allocation: None,
        leaving: false,
    }
}

impl FakeWorker {
    /// Dials and says hello.
    pub(crate) async fn dial(address: &str, trust: &Trust, token: &str, hello: Hello) -> Result<Self, Status> {
        Self::dial_with(address, trust, token, FromWorker::Hello(hello.clone()).into(), hello.worker).await
    }

    /// Dials and says anything.
    pub(crate) async fn dial_with(address: &str, trust: &Trust, token: &str, first: pb::FromWorker, id: WorkerId) -> Result<Self, Status> {
        let channel = dial(address, trust).await.map_err(|fault| Status::unavailable(fault.to_string()))?;
        Self::call(channel, token, first, id).await
    }

    /// Says anything on a connection that is open already.
    pub(crate) async fn call(channel: Channel, token: &str, first: pb::FromWorker, id: WorkerId) -> Result<Self, Status> {
        let mut client = FleetClient::new(channel);
        let (out, said) = mpsc::channel(1000);
        out.send(first).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(said));
        request.metadata_mut().insert(TOKEN_HEADER, bearer(token).parse().unwrap());
        let words = tokio::time::timeout(PATIENCE, client.session(request)).await.expect("an answer")?.into_inner();
        Ok(Self { id, out, words })
    }

    /// Dials with attempts that it still holds.
    pub(crate) async fn dial_again(address: &str, trust: &Trust, token: &str, id: u128, slots: usize, holds: Vec<Held>) -> Self {
        Self::dial(address, trust, token, Hello { holds, ..hello(id, slots) }).await.expect("a connection")
    }

    pub(crate) async fn say(&self, message: FromWorker) {
        self.say_raw(message.into()).await;
    }

    pub(crate) async fn say_raw(&self, message: pb::FromWorker) {
        // A connection that broke shows when it is listened to.
        let _ = self.out.send(message).await;
    }

    /// Where its words go.
    pub(crate) fn mouth(&self) -> mpsc::Sender<pb::FromWorker> {
        self.out.clone()
    }

    /// The next message that is no heartbeat. `Ok(None)` at the end of the stream.
    pub(crate) async fn hear(&mut self) -> Result<Option<FromDriver>, Status> {
        loop {
            let heard = tokio::time::timeout(PATIENCE, self.words.message()).await.expect("a message in time")?;
            match heard.map(|message| from_driver(message, self.id).unwrap()) {
                Some(FromDriver::Heartbeat) => {}
                other => return Ok(other),
            }
        }
    }

    /// Whether anything came before the end.
    pub(crate) async fn hear_raw(&mut self) -> bool {
        matches!(self.words.message().await, Ok(Some(_)))
    }

    /// The next message as it comes.
    pub(crate) async fn hear_anything(&mut self) -> FromDriver {
        let heard = tokio::time::timeout(PATIENCE, self.words.message()).await.expect("a message in time");
        from_driver(heard.unwrap().expect("no end"), self.id).unwrap()
    }
}
