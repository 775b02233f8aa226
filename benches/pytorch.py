#!/usr/bin/env python3
"""Times vae and PyTorch in turn, on the same model, and prints the ratios.

    cargo build --release
    python3 -m venv VENV && VENV/bin/pip install torch numpy safetensors    (VENV: outside of the project)
    VENV/bin/python benches/pytorch.py step   [--data FOLDER] [--config FILE] [--batch-size N] [--threads N]
    VENV/bin/python benches/pytorch.py train  --data FOLDER [--config FILE] [--steps 2000]
    VENV/bin/python benches/pytorch.py sample --data FOLDER [--config FILE]
    VENV/bin/python benches/pytorch.py throughput --data FOLDER [--config FILE]

FOLDER holds the files of MNIST. Both sides read the model, the optimiser's constants and the batch size
from the same configuration. With --device cuda both compute on the GPU; vae is then built with
--features cuda.

step     milliseconds of a training step: batch, forward, backward, Adam, reading the two loss terms. vae's
         is from the images_per_second of its metrics; PyTorch runs eager, with channels_last, and compiled.
         Without --data on pictures of random patches, of the model's size and colours.
train    the whole process: start, read the data, train, evaluate the test images, write the weights. (vae
         also evaluates every 500 steps, and draws its pictures and checkpoints every 200.)
sample   the whole process: start, load the trained model, draw 64 images, write them.
throughput  what is done a second, and how many times as much as PyTorch does. Images drawn: 100,000 from a unit normal
         prior, and as many from a mixture, and written. Images encoded: the 60,000 of training read, their means and
         log variances written. Importance samples: 1,000 decoded and weighed for each of 200 images. vae's are whole
         processes, and evaluate finds the other losses, too; PyTorch, in batches of the size that it is fastest with,
         has been started and has compiled before. Both read the same files, and write as many numbers.

Every round runs each side once, one after the other, so that a machine whose speed drifts treats both
alike; a ratio is taken within a round, and its median over the rounds is what to quote. The rounds of step
are short: its processes live through all of them, and stand still while it is not their turn.
"""
import argparse
import contextlib
import gzip
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
MODES = ["eager", "channels_last", "compile"]
# Stretches of steps in a turn, each timed as a whole.
STRETCHES = 8
# The learning rate of what is timed by the step: a step takes as long with any, and with this one none diverges.
STEP_RATE = 1e-5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["step", "train", "sample", "throughput"])
    parser.add_argument("--data", help="folder with the four files of MNIST")
    parser.add_argument("--config", default=os.path.join(ROOT, "configs", "mnist.json"))
    parser.add_argument("--vae", default=os.path.join(ROOT, "target", "release", "vae"))
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--steps", type=int, default=2000, help="of train")
    parser.add_argument("--seconds", type=float, default=3, help="of a turn of step")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, help="default: 5, and 12 for step")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--weights", help=argparse.SUPPRESS)  # what the PyTorch process samples from
    parser.add_argument("--out", help=argparse.SUPPRESS)  # set for the PyTorch process, with one mode
    options = parser.parse_args()
    options.rounds = options.rounds or (12 if options.what == "step" else 5)
    if options.what != "step" and not options.data:
        parser.error("only step goes without --data")
    if options.what == "throughput" and options.device != "cpu":
        parser.error("throughput is that of the CPU")
    return options


def load_config(options):
    with open(os.path.join(ROOT, "configs", "mnist.json")) as default, open(options.config) as changes:
        config = {**json.load(default), **json.load(changes)}
    config["batch_size"] = options.batch_size or config["batch_size"]
    if config["learning_rate"] is None:
        _, rows, columns = image_shape(config)
        config["learning_rate"] = 1e-3 if min(rows, columns) > 56 else 3e-3
    return config


def image_shape(config):
    """Channels, rows and columns; the pictures that are timed are square."""
    image = config.get("image", {"size": 28, "channels": 1})
    return image["channels"], image["size"], image["size"]


# The PyTorch side.


def build(config):
    """Encoder with its two heads, and decoder, from the layers of a configuration."""
    import torch
    from torch import nn

    def activation(name):
        match name:
            case {"leaky_relu": slope}:
                return [nn.LeakyReLU(slope, inplace=True)]
            case "relu":
                return [nn.ReLU(inplace=True)]
            case "sigmoid":
                return [nn.Sigmoid()]
            case "tanh":
                return [nn.Tanh()]
            case "elu":
                return [nn.ELU(inplace=True)]
            case "silu":
                return [nn.SiLU(inplace=True)]
            case "gelu":
                return [nn.GELU()]
            case None | "none":
                return []
            case other:
                raise ValueError(f"unknown activation {other}")

    class Crop(nn.Module):
        def __init__(self, before, size):
            super().__init__()
            self.cut = slice(before, before + size)

        def forward(self, x):
            return x[:, :, self.cut, self.cut]

    def convolution(shape, conv, transposed):
        channels, side, _ = shape
        kernel, stride, padding = conv["kernel"], conv.get("stride", 1), conv.get("padding", 0)
        if transposed:
            reach = (side - 1) * stride + kernel
            size = side * stride if padding == "same" else reach - 2 * padding
            before, after = ((reach - size) // 2, (reach - size + 1) // 2) if padding == "same" else (padding, padding)
            even = before == after
            modules = [nn.ConvTranspose2d(channels, conv["channels"], kernel, stride, before if even else 0)]
            modules += [] if even else [Crop(before, size)]
        else:
            size = -(-side // stride) if padding == "same" else (side + 2 * padding - kernel) // stride + 1
            missing = max((size - 1) * stride + kernel - side, 0)
            before, after = (missing // 2, (missing + 1) // 2) if padding == "same" else (padding, padding)
            even = before == after
            modules = [] if even else [nn.ZeroPad2d((before, after, before, after))]
            modules += [nn.Conv2d(channels, conv["channels"], kernel, stride, before if even else 0)]
        return modules, (conv["channels"], size, size)

    def chain(layers, shape):
        modules = []
        flat = lambda: shape[0] * shape[1] * shape[2] if len(shape) == 3 else shape[0]
        for layer in layers:
            (kind, what), = layer.items()
            if kind == "reshape":
                modules.append(nn.Unflatten(1, what))
                shape = tuple(what)
                continue
            if kind == "dense":
                modules += ([nn.Flatten()] if len(shape) == 3 else []) + [nn.Linear(flat(), what["features"])]
                shape = (what["features"],)
            else:
                added, shape = convolution(shape, what, kind == "conv_transpose")
                modules += added
            modules += activation(what.get("activation"))
            modules += [nn.Dropout(what["dropout"])] if what.get("dropout") else []
        return nn.Sequential(*modules, *([nn.Flatten()] if len(shape) == 3 else [])), flat()

    latent = config["latent_dim"]
    encoder, features = chain(config["encoder"], image_shape(config))
    decoder, _ = chain(config["decoder"], (latent,))
    return nn.ModuleDict(
        {"encoder": encoder, "mean": nn.Linear(features, latent), "log_variance": nn.Linear(features, latent),
         "decoder": decoder})


def terms(vae, images):
    import torch

    features = vae["encoder"](images)
    mean, log_variance = vae["mean"](features), vae["log_variance"](features)
    latent = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
    squared_error = (vae["decoder"](latent) - images.flatten(1)).square().sum(1)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return squared_error, kl


def read_images(folder, split):
    import numpy
    import torch

    if folder.endswith(".npz"):
        name = {"train": "x_train", "t10k": "x_test"}[split]
        return torch.from_numpy(numpy.load(folder)[name]).permute(0, 3, 1, 2).contiguous()
    path = os.path.join(folder, f"{split}-images-idx3-ubyte")
    raw = open(path, "rb").read() if os.path.exists(path) else gzip.open(path + ".gz").read()
    return torch.from_numpy(numpy.frombuffer(raw, numpy.uint8, offset=16).reshape(-1, 1, 28, 28).copy())


def pytorch_process(options):
    import torch

    torch.set_num_threads(options.threads)
    config = load_config(options)
    vae = build(config)
    if options.what == "sample":
        return pytorch_sample(options, config, vae)
    if options.modes == ["channels_last"]:
        vae = vae.to(memory_format=torch.channels_last)
    if options.what == "throughput":
        return pytorch_throughput(options, config, vae)
    vae = vae.to(options.device)
    images = read_images(options.data, "train").to(options.device).float() / 255
    rate = STEP_RATE if options.what == "step" else config["learning_rate"]
    adam = torch.optim.Adam(vae.parameters(), rate,
                            (config["adam_beta1"], config["adam_beta2"]), config["adam_epsilon"], fused=True)

    def step(batch):
        squared_error, kl = terms(vae, batch)
        adam.zero_grad()
        (squared_error + config["beta"] * kl).mean().backward()
        adam.step()
        return squared_error.mean(), kl.mean()

    if options.modes == ["compile"]:
        step = torch.compile(step)
    order = torch.randperm(len(images), device=options.device)
    last = len(images) - config["batch_size"]
    assert last >= 0, "a batch has more images than there are"

    def timed_step(number):
        begun = time.perf_counter()
        first = number * config["batch_size"] % (last + 1)
        losses = step(images[order[first:first + config["batch_size"]]])
        [loss.item() for loss in losses]
        return time.perf_counter() - begun

    if options.what == "step":
        return take_turns(timed_step)
    for number in range(options.steps):
        timed_step(number)
    vae.eval()
    test = read_images(options.data, "t10k").to(options.device).float() / 255
    with torch.no_grad():
        parts = [torch.stack(terms(vae, batch)) for batch in test.split(250)]
    print("test loss", torch.cat(parts, 1).mean(1).sum().item(), file=sys.stderr)
    torch.save(vae.state_dict(), os.path.join(options.out, "weights.pt"))


def take_turns(timed_step):
    """For each line of the input, a number of seconds, takes steps for so long. Prints the median of the means of its
    stretches, because vae's metrics are means of stretches, too."""
    for number in range(10):
        timed_step(number)
    print("ready", flush=True)
    for line in sys.stdin:
        stretches = []
        for _ in range(STRETCHES):
            took, end = [], time.perf_counter() + float(line) / STRETCHES
            while not took or time.perf_counter() < end:
                took.append(timed_step(len(took)))
            stretches.append(statistics.mean(took))
        print(statistics.median(stretches) * 1e3, flush=True)


TASKS = {"drawn": 100_000, "drawn from a mixture": 100_000, "encoded": 60_000, "importance samples": 200_000}
IMPORTANCE_SAMPLES = 1000
# Of the mixture: as many as the default configuration has.
COMPONENTS = 50
# Each divides what there is to do.
BATCH_SIZES = [50, 250, 1000]


def pytorch_throughput(options, config, vae):
    """Tells how many of what a line names were done a second."""
    import numpy
    import torch

    vae.eval()
    encoder, decoder, heads = vae["encoder"], vae["decoder"], (vae["mean"], vae["log_variance"])
    path = os.path.join(options.out, "pytorch.npy")

    def encode(batch):
        features = encoder(batch.float() / 255)
        return [head(features) for head in heads]

    def log_weights(image, mean, log_variance, noise):
        latent = mean + torch.exp(0.5 * log_variance) * noise
        log_likelihood = -0.5 * (decoder(latent) - image).square().sum(1)
        return log_likelihood + 0.5 * (noise.square() + log_variance - latent.square()).sum(1)

    compiled = torch.compile(dynamic=False) if options.modes == ["compile"] else lambda function: function
    decode, encode, log_weights = compiled(decoder), compiled(encode), compiled(log_weights)
    noise = lambda size: torch.randn(size, config["latent_dim"])

    centres, scales = noise(COMPONENTS), 0.3 * torch.randn(COMPONENTS, config["latent_dim"], config["latent_dim"])

    def mixture(size):
        component = torch.randint(COMPONENTS, (size,))
        return centres[component] + (scales[component] @ noise(size).unsqueeze(2)).squeeze(2)

    def draw(size, count, prior=noise):
        images = torch.empty(count, *image_shape(config))
        for to in images.split(size):
            to.copy_(decode(prior(size)).view_as(to))
        numpy.save(path, images.numpy())

    def encode_all(size, count):
        images = read_images(options.data, "train")[:count]
        posteriors = [torch.stack(encode(batch)) for batch in images.split(size)]
        numpy.save(path, torch.cat(posteriors, 1).numpy())

    def weigh(size, count):
        images = read_images(options.data, "t10k")[:count // IMPORTANCE_SAMPLES]
        for image, mean, log_variance in zip(images, *encode(images)):
            image = image.flatten() / 255
            weights = [log_weights(image, mean, log_variance, noise(size)) for _ in range(IMPORTANCE_SAMPLES // size)]
            torch.logsumexp(torch.cat(weights), 0).item()

    work = {"drawn": draw, "drawn from a mixture": lambda size, count: draw(size, count, mixture),
            "encoded": encode_all, "importance samples": weigh}

    def per_second(task, size, count):
        begun = time.perf_counter()
        work[task](size, count)
        return count / (time.perf_counter() - begun)

    with torch.no_grad():
        best = {}
        for task, count in TASKS.items():
            for size in BATCH_SIZES:
                per_second(task, size, count // 20)
            best[task] = max(BATCH_SIZES, key=lambda size: per_second(task, size, count // 4))
        print("ready", flush=True)
        for line in sys.stdin:
            task = line.strip()
            print(per_second(task, best[task], TASKS[task]), flush=True)


def pytorch_sample(options, config, vae):
    import numpy
    import torch
    from safetensors.torch import load_file

    weights = [weight for name, weight in load_file(options.weights).items() if name.startswith("decoder.")]
    shapes = lambda tensors: sorted(tuple(tensor.shape) for tensor in tensors)
    assert shapes(weights) == shapes(vae["decoder"].state_dict().values())
    with torch.no_grad():
        images = vae.to(options.device)["decoder"](torch.randn(64, config["latent_dim"], device=options.device))
    numpy.save(os.path.join(options.out, "samples.npy"), images.cpu().numpy())


# Both sides, in turn.


def timed(command):
    """Seconds, peak memory in MiB, and what the command prints."""
    with tempfile.TemporaryFile("w+") as out:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"failed: {' '.join(command)}")
        out.seek(0)
        return took, usage.ru_maxrss / 1024, out.read()


def vae_command(options, folder, *more):
    run = os.path.join(folder, str(time.time_ns()))
    return run, [options.vae, "train", "--config", options.config, "--data", options.data, "--out", run,
                 "--batch-size", str(load_config(options)["batch_size"]), "--steps", str(options.steps),
                 "--threads", str(options.threads), "--device", options.device, *more]


def vae_round(options, folder, trained):
    """What is compared, in milliseconds, and the peak memory of one run of vae."""
    if options.what == "sample":
        out = os.path.join(folder, "samples.npy")
        command = [options.vae, "sample", out, "--n", "64", "--model", trained, "--device", options.device]
        took, memory, _ = timed(command)
        return took * 1e3, memory
    took, memory, _ = timed(vae_command(options, folder)[1])
    return took * 1e3, memory


def pytorch_command(options, folder, mode, *more):
    return [sys.executable, os.path.abspath(__file__), options.what, "--data", options.data, "--config",
            options.config, "--steps", str(options.steps), "--threads", str(options.threads), "--device",
            options.device, "--modes", mode, "--batch-size", str(load_config(options)["batch_size"]), "--out", folder,
            *more]


def pytorch_round(options, folder, trained, mode):
    weights = ["--weights", os.path.join(trained, "model.safetensors")] if trained else []
    took, memory, _ = timed(pytorch_command(options, folder, mode, *weights))
    return took * 1e3, memory


# A step, in short turns.


class Vae:
    """A training of vae that stands still when it is not its turn."""

    def __init__(self, options, folder, every):
        options.steps = 1_000_000
        run, command = vae_command(options, folder)
        often = ["--image-every", str(every), "--save-every", "1000000", "--eval-every", "1000000",
                 "--learning-rate", str(STEP_RATE)]
        self.metrics, self.images = os.path.join(run, "metrics.jsonl"), load_config(options)["batch_size"]
        self.process = subprocess.Popen([*command, *often, "--quiet"], stdout=subprocess.DEVNULL)

    def begin(self):
        self.wait_for(2)
        self.process.send_signal(signal.SIGSTOP)

    def wait_for(self, stretches):
        while len(self.speeds()) < stretches:
            if self.process.poll() is not None:
                sys.exit(f"vae ended: {' '.join(self.process.args)}")
            time.sleep(0.2)

    def speeds(self):
        """Of each stretch of steps, images a second."""
        if not os.path.exists(self.metrics):
            return []
        with open(self.metrics) as lines:
            return [json.loads(line)["images_per_second"] for line in lines if line.endswith("\n")]

    def turn(self, seconds):
        before = len(self.speeds())
        self.process.send_signal(signal.SIGCONT)
        time.sleep(seconds)
        self.wait_for(before + 3)
        self.process.send_signal(signal.SIGSTOP)
        # The first had the pause in it.
        return 1e3 * self.images / statistics.median(self.speeds()[before + 1:])


class PyTorch:
    """A process that does what it is asked to, and says how fast it was."""

    def __init__(self, options, folder, mode):
        command = pytorch_command(options, folder, mode)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self):
        line = self.process.stdout.readline()
        return line or sys.exit(f"PyTorch ended: {' '.join(self.process.args)}")

    def begin(self):
        self.answer()

    def turn(self, what):
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return float(self.answer())


def end(process):
    """Its peak memory, in MiB. Nothing less ends one that stands still."""
    # Not `process.kill`, which would wait for one that has ended, and leave nothing to be asked.
    os.kill(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / 1024


def random_pictures(options, folder):
    """Four by four patches of a colour each: noise has nothing to be learnt, and training on it diverges."""
    import numpy

    config = load_config(options)
    channels, rows, columns = image_shape(config)
    random, patch = numpy.random.default_rng(0), lambda size: numpy.arange(size) * 4 // size
    patches = lambda count: random.integers(0, 256, (count, 4, 4, channels), numpy.uint8)
    pictures = lambda count: patches(count)[:, patch(rows)][:, :, patch(columns)]
    path = os.path.join(folder, "pictures.npz")
    numpy.savez(path, x_train=pictures(max(2000, 2 * config["batch_size"])), x_test=pictures(100))
    return path


def time_steps(options, folder):
    options.data = options.data or random_pictures(options, folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as processes:
        sides = {}

        def begin(name, side):
            processes.callback(lambda: side.process.returncode is None and end(side.process))
            side.begin()
            sides[name] = side

        for mode in options.modes:
            begin(mode, PyTorch(options, folder, mode))
        # As many stretches, if vae takes half the time.
        step = min(side.turn(1) for side in sides.values()) / 2
        every = max(int(options.seconds * 1e3 / step / STRETCHES), 2)
        begin("vae", Vae(options, folder, every))
        rounds = []
        for number in range(options.rounds):
            rounds.append({name: side.turn(options.seconds) for name, side in sides.items()})
            took = ", ".join(f"{name} {took:.1f} ms" for name, took in rounds[-1].items())
            print(f"round {number + 1}: {took}", flush=True)
        for name, side in sides.items():
            print(f"{name}: {statistics.median(took[name] for took in rounds):.1f} ms, {end(side.process):.0f} MiB")
    ratio = lambda theirs: statistics.median(took["vae"] / theirs(took) for took in rounds)
    for mode in options.modes:
        print(f"vae / PyTorch {mode}: {ratio(lambda took: took[mode]):.2f}")
    print(f"vae / PyTorch's best of the round: {ratio(lambda took: min(took[mode] for mode in options.modes)):.2f}")


# Whole commands, in turn with a PyTorch that has been started.


def vae_throughput(options, folder):
    """For each task, the function that has vae do it and tells how many it does a second."""
    import numpy

    with open(options.config) as file:
        config = json.load(file)
    options.config, options.steps = os.path.join(folder, "config.json"), 200
    trained = {}
    for name, prior in {"normal": "normal", "mixture": {"mixture": COMPONENTS}}.items():
        with open(options.config, "w") as file:
            json.dump(config | {"prior": prior}, file)
        trained[name], command = vae_command(options, folder)
        timed(command)
    few, out = os.path.join(folder, "few.npz"), os.path.join(folder, "out.npy")
    images = {split: read_images(options.data, split)[:200].numpy() for split in ["train", "t10k"]}
    numpy.savez(few, x_train=images["train"], x_test=images["t10k"])
    samples = str(IMPORTANCE_SAMPLES)
    commands = {
        "drawn": ["sample", out, "--n", str(TASKS["drawn"])],
        "drawn from a mixture": ["sample", out, "--n", str(TASKS["drawn from a mixture"])],
        "encoded": ["encode", out + ".npz", "--data", options.data, "--split", "train"],
        "importance samples": ["evaluate", "--data", few, "--importance-samples", samples, "--samples", "0"],
    }
    more = ["--threads", str(options.threads), "--device", options.device, "--model"]
    model = lambda task: trained["mixture" if "mixture" in task else "normal"]
    return {task: lambda task=task, command=command: TASKS[task] / timed([options.vae, *command, *more, model(task)])[0]
            for task, command in commands.items()}


def time_throughput(options, folder):
    ours = vae_throughput(options, folder)
    with contextlib.ExitStack() as processes:
        theirs = {}
        for mode in options.modes:
            theirs[mode] = PyTorch(options, folder, mode)
            processes.callback(end, theirs[mode].process)
            theirs[mode].begin()
        for task, work in ours.items():
            turns = {"vae": work} | {mode: lambda side=side: side.turn(task) for mode, side in theirs.items()}
            rounds = []
            for number in range(options.rounds):
                rounds.append({})
                for name, turn in turns.items():
                    # What one has written is not to be brought to the disk in the turn of another.
                    os.sync()
                    rounds[-1][name] = turn()
                speeds = ", ".join(f"{name} {speed:,.0f}/s" for name, speed in rounds[-1].items())
                print(f"{task}, round {number + 1}: {speeds}", flush=True)
            times = lambda of: statistics.median(speeds["vae"] / of(speeds) for speeds in rounds)
            for mode in options.modes:
                print(f"{task}: {times(lambda speeds: speeds[mode]):.2f} times PyTorch {mode}")
            best = times(lambda speeds: max(speeds[mode] for mode in options.modes))
            print(f"{task}: {best:.2f} times PyTorch's best of the round")


def main(options):
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "step":
            return time_steps(options, folder)
        if options.what == "throughput":
            return time_throughput(options, folder)
        options.modes, trained = ["eager"], None
        if options.what == "sample":
            options.steps = 20
            trained, command = vae_command(options, folder)
            timed(command)
        rounds = []
        for number in range(options.rounds):
            ours = vae_round(options, folder, trained)
            theirs = {mode: pytorch_round(options, folder, trained, mode) for mode in options.modes}
            rounds.append((ours, theirs))
            print(f"round {number + 1}: vae {ours[0]:.1f} ms, "
                  + ", ".join(f"{mode} {took:.1f} ms" for mode, (took, _) in theirs.items()), flush=True)
    median = lambda values: statistics.median(list(values))
    print(f"vae: {median(ours[0] for ours, _ in rounds):.1f} ms, {median(ours[1] for ours, _ in rounds):.0f} MiB")
    for mode in options.modes:
        ratio = median(ours[0] / theirs[mode][0] for ours, theirs in rounds)
        took, memory = (median(theirs[mode][i] for _, theirs in rounds) for i in (0, 1))
        print(f"PyTorch {mode}: {took:.1f} ms, {memory:.0f} MiB; vae / PyTorch: {ratio:.2f}")


if __name__ == "__main__":
    options = arguments()
    pytorch_process(options) if options.out else main(options)
