//! A driver's door for tests: it checks the token as the real one does, and the test is the engine.
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use hpo_wire::pb::fleet_server::{Fleet, FleetServer};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Response, Streaming};

use super::*;

const WAIT: Duration = Duration::from_secs(20);

/// A driver that listens; it dies when this is dropped.
pub(crate) struct Driver {
    heard: mpsc::Receiver<FromWorker>,
    voice: Voice,
    server: JoinHandle<()>,
}

/// Where words to the worker go while one is connected.
type Voice = Arc<Mutex<Option<mpsc::Sender<Result<pb::FromDriver, Status>>>>>;

struct Door {
    token: String,
    heard: mpsc::Sender<FromWorker>,
    voice: Voice,
}

#[tonic::async_trait]
impl Fleet for Door {
    type SessionStream = ReceiverStream<Result<pb::FromDriver, Status>>;

    async fn session(&self, request: Request<Streaming<pb::FromWorker>>) -> Result<Response<Self::SessionStream>, Status> {
        let shown = request.metadata().get(TOKEN_HEADER).map(|shown| shown.as_bytes().to_vec());
        if shown.as_deref() != Some(bearer(&self.token).as_bytes()) {
            return Err(Status::unauthenticated("that is not the token"));
        }
        let mut words = request.into_inner();
        // As the real one: no answer before the greeting.
        let hello = words.message().await?.ok_or_else(|| Status::invalid_argument("no hello"))?;
        let (speak, spoken) = mpsc::channel(16);
        *self.voice.lock().await = Some(speak);
        let heard = self.heard.clone();
        let _ = heard.send(FromWorker::try_from(hello).unwrap()).await;
        let voice = self.voice.clone();
        tokio::spawn(async move {
            while let Ok(Some(word)) = words.message().await {
                let _ = heard.send(FromWorker::try_from(word).unwrap()).await;
            }
            *voice.lock().await = None;
        });
        Ok(Response::new(ReceiverStream::new(spoken)))
    }
}

impl Driver {
    /// Listens, and writes `rendezvous.json` and `token` into the folder.
    pub(crate) async fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // The first address is one that nobody answers: workers try the next.
        let text =
            format!(r#"{{"format":1,"sweep":"s","epoch":1,"addresses":["127.0.0.1:1","{address}"],"tls":false,"pid":1,"host":"h"}}"#);
        fs::write(folder.join("rendezvous.json"), text).unwrap();
        write_token(folder, "secret");
        let (tell, heard) = mpsc::channel(64);
        let voice = Voice::default();
        let door = Door { token: "secret".to_owned(), heard: tell, voice: voice.clone() };
        let serve = Server::builder().add_service(FleetServer::new(door)).serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(async move { serve.await.unwrap() });
        Self { heard, voice, server }
    }

    /// What the worker says next about attempts and itself, but for signs of life.
    pub(crate) async fn next(&mut self) -> FromWorker {
        loop {
            match timeout(WAIT, self.heard.recv()).await.expect("the worker says nothing").unwrap() {
                FromWorker::Heartbeat | FromWorker::Leaving => {}
                said => return said,
            }
        }
    }

    /// Says something to the worker that is connected.
    pub(crate) async fn say(&self, said: FromDriver) {
        let voice = self.voice.lock().await;
        voice.as_ref().expect("no worker is connected").send(Ok(said.into())).await.unwrap();
    }

    /// Ends as by `kill -9`.
    pub(crate) async fn die(self) {
        self.server.abort();
        *self.voice.lock().await = None;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The token file, readable by its owner alone.
pub(crate) fn write_token(folder: &Path, token: &str) {
    let path = folder.join("token");
    fs::write(&path, format!("{token}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The driver of that folder, as a worker looks for it.
pub(crate) fn target(folder: &Path) -> Target {
    let path = |name: &str| folder.join(name);
    Target { rendezvous: path("rendezvous.json"), authority: path("ca.pem"), token_file: path("token"), worker: WorkerId(7) }
}
