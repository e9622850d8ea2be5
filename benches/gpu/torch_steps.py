"""The networks of `worker/src/models` in PyTorch, and how many steps a second it trains them: the same layers, batch,
optimizer and examples, which lie in the card's memory as hpo's do. Eager, and with the whole step as one CUDA graph.
Precision is as PyTorch sets it by default."""
import gzip
import statistics
import struct
import time

try:
    import torch
except ImportError:
    torch = None


def version():
    return torch.__version__ if torch else None


def measure(model, recipe, device, data, epochs, repeats):
    """Steps per second of each way to run PyTorch, `repeats` times each; nothing without PyTorch."""
    if not torch:
        return {}
    images, labels = load(data / "mnist-10k", device)
    ways = {"PyTorch, eager": eager}
    if device == "cuda":
        ways["PyTorch, CUDA graph"] = graph
    return {name: [rate(way, model, recipe, images, labels, epochs) for _ in range(repeats)] for name, way in ways.items()}


def load(folder, device):
    """8,000 of the images, [n, 1, 28, 28], to mean 0 and standard deviation 1, and their labels."""
    raw = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    _, count, height, width = struct.unpack(">4I", raw[:16])
    images = torch.frombuffer(bytearray(raw[16:]), dtype=torch.uint8).reshape(count, 1, height, width)[:8000].float()
    labels = torch.frombuffer(bytearray(gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]), dtype=torch.uint8)[:8000]
    return ((images - images.mean()) / images.std()).to(device), labels.long().to(device)


def build(model, recipe):
    nn, width = torch.nn, recipe["width"]
    if model == "mlp":
        sizes = [28 * 28] + [width] * recipe["depth"]
        hidden = [layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, 10))
    channels = [1] + [recipe["channels"] << block for block in range(recipe["depth"])]
    blocks = [layer for a, b in zip(channels, channels[1:]) for layer in (nn.Conv2d(a, b, 3, padding=1), nn.MaxPool2d(2), nn.ReLU())]
    features = channels[-1] * (28 >> recipe["depth"]) ** 2
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(features, width), nn.ReLU(), nn.Linear(width, 10))


def eager(network, optimizer, images, labels, batch):
    def step(rows):
        loss = torch.nn.functional.cross_entropy(network(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def graph(network, optimizer, images, labels, batch):
    step = eager(network, optimizer, images, labels, batch)
    rows = torch.arange(batch, device=images.device)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(rows)
    torch.cuda.current_stream().wait_stream(side)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        loss = step(rows)

    def replay(new):
        rows.copy_(new)
        captured.replay()
        return loss

    return replay


def rate(way, model, recipe, images, labels, epochs):
    """Steps a second over the epochs after the first, each of which ends by looking at its loss."""
    torch.manual_seed(0)
    network = build(model, recipe).to(images.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe["lr"], capturable=images.is_cuda)
    batch, rates = recipe["batch"], []
    step = way(network, optimizer, images, labels, batch)
    for _ in range(epochs):
        order = torch.randperm(len(images), device=images.device)
        steps, total = len(images) // batch, torch.zeros((), device=images.device)
        begun = time.perf_counter()
        for at in range(steps):
            total += step(order[at * batch : (at + 1) * batch])
        if not total.item() < 10 * steps:
            raise RuntimeError("PyTorch's training diverged: there is nothing to compare with")
        rates.append(steps / (time.perf_counter() - begun))
    return statistics.harmonic_mean(rates[1:])
