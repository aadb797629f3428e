"""A Capstan server as a child process."""

import copy
import json
import os
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
VENV_BIN = Path(__file__).resolve().parents[1] / ".venv" / "bin"

# A request that takes longer than this has hung.
ANSWER_WITHIN_SECS = 60


def binary():
    """The server under test."""
    named = os.environ.get("CAPSTAN")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(named) if named else target / "debug" / "capstan"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run `cargo build`, or name the binary in CAPSTAN")
    return path


def _session(protocol):
    session = botocore.session.get_session()
    if protocol is not None:
        loader = botocore.loaders.create_loader()
        load = loader.load_service_model

        def load_with_one_protocol(service_name, type_name, api_version=None):
            model = copy.deepcopy(load(service_name, type_name, api_version))
            if type_name == "service-2" and "protocols" in model["metadata"]:
                model["metadata"].update(protocol=protocol, protocols=[protocol])
            return model

        loader.load_service_model = load_with_one_protocol
        session.register_component("data_loader", loader)
    return session


class Server:
    """`capstan serve` on a free port, stopped by SIGTERM."""

    def __init__(self, directory, region="us-east-1", account="000000000000", seed=1, clock="manual", runtime="virtual", options=()):
        self.clock = clock
        self.runtime = runtime
        self.directory = Path(directory)
        # More of `capstan serve`, as the shell would give it.
        self.options = options
        self.region = region
        self.account = account
        self.seed = seed
        self.log = []
        self.process = None
        self.endpoint = None
        self._clients = {}

    def __enter__(self):
        command = [
            binary(), "serve", "--listen", "127.0.0.1:0", "--clock", self.clock, "--runtime", self.runtime,
            "--region", self.region, "--account", self.account, "--seed", str(self.seed), *self.options,
        ]  # fmt: skip
        environment = {**os.environ, "NO_COLOR": "1", "CAPSTAN_LOG": "info"}
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, text=True, cwd=self.directory
        )
        for line in self.process.stderr:
            self.log.append(line)
            address = re.search(r"answers at (http://[0-9.:]+)", line)
            if address:
                self.endpoint = address.group(1)
                break
        if self.endpoint is None:
            raise RuntimeError("the server did not start:\n" + "".join(self.log))
        # Somebody must read on, or the server would block on a full pipe.
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=ANSWER_WITHIN_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert code == 0, f"the server ended with {code}:\n" + "".join(self.log)

    @property
    def port(self):
        return int(self.endpoint.rsplit(":", 1)[1])

    def page(self, path, body=None):
        """One of the server's own pages, parsed; a body makes it a POST."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.endpoint + path, data=data)
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_SECS) as answer:
            return json.load(answer)

    def healthy(self):
        """Whether the process lives and answers."""
        try:
            return self.process.poll() is None and self.page("/_capstan/health")["edition"] == "capstan"
        except (OSError, urllib.error.URLError):
            return False

    def advance(self, seconds=0, minutes=0):
        """Moves the clock; answers when all that falls due has happened."""
        return self.page("/_capstan/clock", {"advance_seconds": seconds + 60 * minutes})["now"]

    def until(self, condition, within_minutes, step_seconds=60):
        """Moves the clock in steps until the condition gives something true, and returns that."""
        for _ in range(within_minutes * 60 // step_seconds + 1):
            result = condition()
            if result:
                return result
            self.advance(seconds=step_seconds)
        raise AssertionError(f"not within {within_minutes} virtual minutes")

    def boto(self, service, protocol=None, **options):
        """A boto3 client without retries, so that each answer is the server's first; `protocol` takes the choice from it."""
        key = (service, protocol, repr(sorted(options.items())))
        if key not in self._clients:
            config = Config(
                retries={"max_attempts": 0},
                read_timeout=ANSWER_WITHIN_SECS,
                connect_timeout=10,
                **options,
            )
            self._clients[key] = boto3.Session(botocore_session=_session(protocol)).client(
                service,
                endpoint_url=self.endpoint,
                region_name=self.region,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=config,
            )
        return self._clients[key]

    def environment(self):
        """What `capstan env` exports, for a child process."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **inherited,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            # The virtual environment's aws before any other.
            "PATH": f"{VENV_BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        }
