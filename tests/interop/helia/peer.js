// A JavaScript peer with Helia's Bitswap: one JSON request a line on stdin, one reply a line on stdout.
//
//   {"op": "put", "blocks": [<base64>]}    keeps blocks; replies with their CIDs (dag-pb, sha2-256)
//   {"op": "connect", "addr": "…"}         dials
//   {"op": "fetch", "cids": […]}           fetches blocks; replies with the milliseconds that it took
//   {"op": "walk", "cid": "…"}             fetches a chain: the first 36 bytes of a block name the next one
import { createInterface } from 'node:readline'
import { createBitswap } from '@helia/bitswap'
import { identify } from '@libp2p/identify'
import { defaultLogger } from '@libp2p/logger'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { MemoryBlockstore } from 'blockstore-core'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'

// libp2p needs it, and node has it from 22 on.
Promise.withResolvers ??= function () {
  const deferred = {}
  deferred.promise = new this((resolve, reject) => Object.assign(deferred, { resolve, reject }))
  return deferred
}

const DAG_PB = 0x70
const LINK = 36 // bytes of a binary CID
const TIMEOUT = 60_000 // milliseconds for one request

const libp2p = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify() }
})
const blockstore = new MemoryBlockstore()
const routing = { async * findProviders () {} } // no provider but those that are given is asked
const bitswap = createBitswap({ libp2p, blockstore, routing, logger: defaultLogger(), getHasher: async () => sha256 })
await bitswap.start()

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')

async function fetch (cid) {
  const data = await bitswap.want(cid, { signal: AbortSignal.timeout(TIMEOUT) })
  await blockstore.put(cid, data)
  return data
}

const operations = {
  async put ({ blocks }) {
    const cids = []
    for (const each of blocks) {
      const data = Buffer.from(each, 'base64')
      const cid = CID.createV1(DAG_PB, await sha256.digest(data))
      await blockstore.put(cid, data)
      await bitswap.notify(cid)
      cids.push(cid.toString())
    }
    return { cids }
  },

  async connect ({ addr }) {
    await libp2p.dial(multiaddr(addr))
    return {}
  },

  async fetch ({ cids }) {
    const start = performance.now()
    await Promise.all(cids.map((each) => fetch(CID.parse(each))))
    return { ms: performance.now() - start }
  },

  async walk ({ cid }) {
    const start = performance.now()
    let count = 0
    for (let next = CID.parse(cid); next != null; count++) {
      const data = await fetch(next)
      next = data.length > LINK ? CID.decode(data.subarray(0, LINK)) : null
    }
    return { count, ms: performance.now() - start }
  }
}

async function answer (line) {
  const { id, op, ...fields } = JSON.parse(line)
  try {
    say({ id, ...await operations[op](fields) })
  } catch (error) {
    say({ id, error: String(error) })
  }
}

say({ event: 'ready', peer: libp2p.peerId.toString(), addrs: libp2p.getMultiaddrs().map(String) })
for await (const line of createInterface({ input: process.stdin })) {
  void answer(line)
}
process.exit(0)
