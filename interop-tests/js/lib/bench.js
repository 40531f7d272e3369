'use strict'

// Stock to stock: two processes over loopback, both on disk. Prints one JSON object.
//
//   node bench.js [METRIC]...      every metric when none is named
//   --scale N                      divides the amounts of work by N (a quick look, not a measurement)

const fs = require('fs')
const os = require('os')
const path = require('path')
const { Peer } = require('./driver')

const KIB = 1024
const MB = 1e6

module.exports = async function bench (adapter, script, args) {
  const at = args.indexOf('--scale')
  const scale = at === -1 ? 1 : Number(args.splice(at, 2)[1])
  const unknown = args.filter(name => !metrics[name])
  if (unknown.length) {
    console.error('expected metrics among ' + Object.keys(metrics).join(', ') + ', found ' + unknown.join(', '))
    process.exit(2)
  }
  const result = { generation: adapter.generation, versions: adapter.versions, node: process.version, scale }
  for (const name of args.length ? args : Object.keys(metrics)) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'quorate-bench-'))
    try {
      result[name] = await metrics[name](script, dir, scale)
    } finally {
      fs.rmSync(dir, { recursive: true, force: true })
    }
  }
  console.log(JSON.stringify(result, null, 2))
}

const metrics = {
  // Appends one after another, each awaited: {appends_per_s}.
  append: (script, dir, scale) => withSharer(script, dir, async sharer => {
    const count = amount(5000, scale)
    const { ms } = await sharer.command('append', { count, size: KIB, batch: 1 })
    return { appends_per_s: count / ms * 1000 }
  }),
  // Calls that append 1 000 blocks of 1 KiB each: {blocks_per_s}.
  'append-batch': (script, dir, scale) => withSharer(script, dir, async sharer => {
    const count = amount(50000, scale)
    const { ms } = await sharer.command('append', { count, size: KIB, batch: 1000 })
    return { blocks_per_s: count / ms * 1000 }
  }),
  'clone-10k-1k': (script, dir, scale) => clone(script, dir, amount(10000, scale), KIB),
  'clone-100k-1k': (script, dir, scale) => clone(script, dir, amount(100000, scale), KIB),
  'clone-2k-64k': (script, dir, scale) => clone(script, dir, amount(2000, scale), 64 * KIB),
  // From the call of append on one side to the block in the hands of a waiting get on the other.
  'live-latency': (script, dir, scale) => withSharer(script, dir, async (sharer, key, address) => {
    const count = amount(500, scale)
    const cloner = new Peer(script, { dir: path.join(dir, 'cloner'), key, connect: address })
    await cloner.first('handshake')
    await sharer.command('append', { count: 1, size: KIB })
    await cloner.command('get', { index: 0 })
    const gets = cloner.command('get-live', { start: 1, count })
    const appends = await sharer.command('append-live', { count, size: KIB, gapMs: 5 })
    const ms = (await gets).at.map((here, i) => here - appends.at[i]).sort((a, b) => a - b)
    await cloner.quit()
    return { p50_ms: ms[ms.length >> 1], p95_ms: ms[Math.floor(ms.length * 0.95)] }
  })
}

async function clone (script, dir, count, size) {
  return withSharer(script, dir, async (sharer, key, address) => {
    await sharer.command('append', { count, size, batch: 1000 })
    const cloner = new Peer(script, { dir: path.join(dir, 'cloner'), key })
    await cloner.first('ready')
    const { ms, rssBytes } = await cloner.command('measure-clone', { connect: address, count })
    const { rssBytes: sharerRssBytes } = await sharer.command('info')
    await cloner.quit()
    return {
      blocks_per_s: count / ms * 1000,
      mb_per_s: count * size / ms * 1000 / MB,
      rss_sharer_mb: sharerRssBytes / MB,
      rss_cloner_mb: rssBytes / MB
    }
  })
}

async function withSharer (script, dir, run) {
  const sharer = new Peer(script, { dir: path.join(dir, 'sharer'), listen: 0 })
  const { key } = await sharer.first('feed')
  const { address } = await sharer.first('listening')
  const result = await run(sharer, key, address)
  await sharer.quit()
  return result
}

function amount (count, scale) {
  return Math.max(10, Math.round(count / scale))
}
