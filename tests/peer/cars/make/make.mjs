// Writes the js-*.car files of the folder above with @ipld/car, out of the blocks of market.car.
// npm install @ipld/car@5.4.7 @ipld/dag-pb @ipld/dag-cbor multiformats ipfs-unixfs; node make.mjs FOLDER
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CarReader, CarWriter } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { identity } from 'multiformats/hashes/identity'
import { sha256, sha512 } from 'multiformats/hashes/sha2'

const folder = process.argv[2]
const market = await CarReader.fromBytes(readFileSync(join(folder, 'market.car')))
const blocks = []
for await (const block of market.blocks()) blocks.push(block)
const heads = await market.getRoots()

async function block (codec, value, hasher = sha256) {
  const bytes = codec.encode(value)
  return { cid: CID.createV1(codec.code, await hasher.digest(bytes)), bytes }
}

async function write (name, roots, content) {
  const { writer, out } = CarWriter.create(roots)
  const written = (async () => {
    const parts = []
    for await (const part of out) parts.push(part)
    return Buffer.concat(parts)
  })()
  for (const each of content) await writer.put(each)
  await writer.close()
  writeFileSync(join(folder, name), await written)
}

const leaf = await block(raw, new TextEncoder().encode('a raw leaf'))
const file = await block(dagPb, dagPb.prepare({ Data: new UnixFS({ type: 'file', data: new TextEncoder().encode('hello') }).marshal() }))
const empty = await block(dagPb, dagPb.prepare({ Data: new UnixFS({ type: 'file', data: new Uint8Array() }).marshal() }))
const big = new UnixFS({ type: 'file', blockSizes: [10n] })
const large = await block(dagPb, dagPb.prepare({ Data: big.marshal(), Links: [{ Hash: leaf.cid, Tsize: 10 }] }))
const tree = await block(dagPb, dagPb.prepare({
  Data: new UnixFS({ type: 'directory' }).marshal(),
  Links: [
    { Hash: empty.cid, Name: 'empty', Tsize: empty.bytes.length },
    { Hash: file.cid, Name: 'hello.txt', Tsize: file.bytes.length },
    { Hash: large.cid, Name: 'large', Tsize: large.bytes.length + 10 }
  ]
}))
const map = await block(dagCbor, { says: 'something else', to: heads[0] })
const otherHash = await block(dagPb, dagPb.prepare({ Data: new Uint8Array([0x18, 1]) }), sha512)
const inside = await block(raw, new TextEncoder().encode('in its CID'), identity)
const absent = (await block(dagCbor, 'not in the file')).cid
const absentNode = (await block(dagPb, dagPb.prepare({ Data: new Uint8Array([0x18, 2]) }))).cid

// All of the market, its oldest block first.
await write('js-market.car', heads, [...blocks].reverse())
await write('js-no-roots.car', [], blocks)
await write('js-folder.car', [tree.cid], [tree, empty, file, large, leaf])
await write('js-foreign.car', [map.cid], [map, otherHash])
await write('js-mixed.car', [...heads, absent, absentNode, inside.cid, tree.cid],
  [map, tree, ...blocks, empty, file, otherHash, large, leaf, map])
