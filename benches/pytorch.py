#!/usr/bin/env python3
"""Times vae and PyTorch in turn, on the same model, and prints the ratios.

    cargo build --release
    python3 -m venv VENV && VENV/bin/pip install torch numpy safetensors    (VENV: outside of the project)
    VENV/bin/python benches/pytorch.py step   --data FOLDER [--config FILE] [--batch-size N] [--threads N]
    VENV/bin/python benches/pytorch.py train  --data FOLDER [--config FILE] [--steps 2000]
    VENV/bin/python benches/pytorch.py sample --data FOLDER [--config FILE]

FOLDER holds the files of MNIST. Both sides read the model, the optimiser's constants and the batch size
from the same configuration. With --device cuda both compute on the GPU; vae is then built with
--features cuda.

step     milliseconds of a training step: batch, forward, backward, Adam, reading the two loss terms. vae's
         is from the images_per_second of its metrics; PyTorch runs eager, with channels_last, and compiled.
train    the whole process: start, read the data, train, evaluate the test images, write the weights. (vae
         also evaluates every 500 steps, and draws its pictures and checkpoints every 200.)
sample   the whole process: start, load the trained model, draw 64 images, write them.

Every round runs each side once, one after the other, so that a machine whose speed drifts treats both
alike; a ratio is taken within a round, and its median over the rounds is what to quote.
"""
import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
MODES = ["eager", "channels_last", "compile"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["step", "train", "sample"])
    parser.add_argument("--data", required=True, help="folder with the four files of MNIST")
    parser.add_argument("--config", default=os.path.join(ROOT, "configs", "mnist.json"))
    parser.add_argument("--vae", default=os.path.join(ROOT, "target", "release", "vae"))
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--steps", type=int, help="default: 2000 for train, 240 for step")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--weights", help=argparse.SUPPRESS)  # what the PyTorch process samples from
    parser.add_argument("--out", help=argparse.SUPPRESS)  # set for the PyTorch process, with one mode
    options = parser.parse_args()
    options.steps = options.steps or (240 if options.what == "step" else 2000)
    return options


def load_config(options):
    with open(os.path.join(ROOT, "configs", "mnist.json")) as default, open(options.config) as changes:
        config = {**json.load(default), **json.load(changes)}
    config["batch_size"] = options.batch_size or config["batch_size"]
    return config


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
    encoder, features = chain(config["encoder"], (1, 28, 28))
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
    vae = vae.to(options.device)
    images = read_images(options.data, "train").to(options.device).float() / 255
    adam = torch.optim.Adam(vae.parameters(), config["learning_rate"],
                            (config["adam_beta1"], config["adam_beta2"]), config["adam_epsilon"])

    def step(batch):
        squared_error, kl = terms(vae, batch)
        adam.zero_grad()
        (squared_error + config["beta"] * kl).mean().backward()
        adam.step()
        return squared_error.mean(), kl.mean()

    if options.modes == ["compile"]:
        step = torch.compile(step)
    took, order = [], torch.randperm(len(images), device=options.device)
    for number in range(options.steps):
        begun = time.perf_counter()
        first = number * config["batch_size"] % (len(images) - config["batch_size"])
        losses = step(images[order[first:first + config["batch_size"]]])
        [loss.item() for loss in losses]
        took.append(time.perf_counter() - begun)
    if options.what == "train":
        vae.eval()
        test = read_images(options.data, "t10k").to(options.device).float() / 255
        with torch.no_grad():
            parts = [torch.stack(terms(vae, batch)) for batch in test.split(250)]
        print("test loss", torch.cat(parts, 1).mean(1).sum().item(), file=sys.stderr)
        torch.save(vae.state_dict(), os.path.join(options.out, "weights.pt"))
    print(statistics.median(took[len(took) // 5:]) * 1e3)


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
    if options.what == "train":
        took, memory, _ = timed(vae_command(options, folder)[1])
        return took * 1e3, memory
    every = ["--image-every", str(max(options.steps // 12, 1))]
    run, command = vae_command(options, folder, *every, "--save-every", "1000000", "--eval-every", "1000000")
    _, memory, _ = timed(command)
    with open(os.path.join(run, "metrics.jsonl")) as lines:
        speeds = [json.loads(line).get("images_per_second") for line in lines]
    speeds = [speed for speed in speeds if speed]
    return 1e3 * load_config(options)["batch_size"] / statistics.median(speeds[len(speeds) // 5:]), memory


def pytorch_round(options, folder, trained, mode):
    command = [sys.executable, os.path.abspath(__file__), options.what, "--data", options.data, "--config",
               options.config, "--steps", str(options.steps), "--threads", str(options.threads), "--device",
               options.device, "--modes", mode, "--batch-size", str(load_config(options)["batch_size"]), "--out", folder]
    command += ["--weights", os.path.join(trained, "model.safetensors")] if trained else []
    took, memory, printed = timed(command)
    return float(printed) if options.what == "step" else took * 1e3, memory


def main(options):
    if options.what != "step":
        options.modes = ["eager"]
    with tempfile.TemporaryDirectory() as folder:
        trained = None
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
