"""Claim 17: 1,000 open streams, read in turn: 64 ready bytes from each."""

import resource

import common
import streams

CLAIM = 17
AT_LEAST = 1.8
STREAMS = 1000


def make_sampler(peers, calls):
    message = b"x" * streams.MESSAGE

    def sample():
        for peer in peers:
            peer.send(message)
        start = common.clock()
        for function, argument in calls:
            function(argument)
        return (common.clock() - start) / STREAMS

    return sample


def measure(bench):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pairs = [streams.socket_pair(streams.TIMEOUT) for _ in range(STREAMS)]
    peers = [peer for _, peer in pairs]
    samplers = {}
    for name, makefile in streams.MAKEFILES.items():
        samplers[name] = make_sampler(
            peers, [streams.read_call(makefile(sock, "rb", 0)) for sock, _ in pairs]
        )
    bench.interleave(samplers, 200)


def rows(samples):
    found = []
    for rival in streams.RIVALS:
        ratio = samples.ratio(rival, "ours")
        what = "1,000 streams in turn, with a timeout: %s / ours" % rival
        found.append(common.row(what, ratio, "x", at_least=AT_LEAST, detail=rival == "twin"))
        if rival == "interpreter":
            found[-1]["words"] = "a read from each of 1,000 streams in turn"
    return found


if __name__ == "__main__":
    common.main(__file__)
