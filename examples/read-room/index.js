#!/usr/bin/env node
'use strict'

// Prints what the participants of a room have said: author and payload of each block.
//
//   node index.js DIRECTORY                  a room on this disk
//   node index.js KEY HOST:PORT [--live]     a room of a peer; --live waits for more
//
// Nothing here knows quorate: hypercore verifies that the host wrote each block, and stream.proto says what is in it.

const net = require('net')
const path = require('path')
const fs = require('fs')
const hypercore = require('hypercore')
const ram = require('random-access-memory')
const protobuf = require('protobufjs')

// Block 0 is a header as DEP-0007 has it; what follows are entries.
const Header = protobuf.loadSync(path.join(__dirname, '../../proto/header.proto')).lookupType('header.Header')
const stream = protobuf.loadSync(path.join(__dirname, '../../proto/stream.proto'))
const StreamHeader = stream.lookupType('quorate.StreamHeader')
const Entry = stream.lookupType('quorate.Entry')
const RuleOperation = stream.lookupEnum('quorate.RuleOperation')

main(process.argv.slice(2)).catch(err => {
  console.error('read-room: ' + err.message)
  process.exitCode = 1
})

async function main (args) {
  const live = args.includes('--live')
  const [where, peer] = args.filter(arg => !arg.startsWith('--'))
  if (!where) throw new Error('expected DIRECTORY, or KEY HOST:PORT [--live]')
  const feed = peer ? hypercore(ram, Buffer.from(where, 'hex')) : openDirectory(where)
  await ready(feed)
  const socket = peer && connect(feed, peer, live)
  if (socket) await update(feed, socket)

  const header = readHeader(await get(feed, 0))
  console.log(`room "${header.name}", payloads are ${header.payloadEncoding}, rules: ` +
    (header.rules.map(rule => rule.name).join(', ') || 'none'))

  for (let index = 1; live || index < feed.length; index++) {
    // With --live this waits until there is such a block.
    console.log(line(index, await get(feed, index)))
  }
  if (socket) socket.destroy()
  feed.close()
}

function readHeader (block) {
  let found = 'no header'
  try {
    const { type, extension } = Header.decode(block)
    if (type === 'quorate/1') return StreamHeader.decode(extension)
    found = 'a header of type ' + text(type)
  } catch {}
  throw new Error(`expected the header of a room in block 0, found ${found}`)
}

function line (index, block) {
  const entry = Entry.decode(block)
  if (entry.action) {
    return `${index}  ${short(entry.action.author)}  ${text(entry.action.payload)}`
  }
  if (entry.ruleChange) {
    const { author, operation, name, rule, activation } = entry.ruleChange
    const what = name || short(rule)
    return `${index}  ${short(author)}  ${RuleOperation.valuesById[operation].toLowerCase()} rule ${what} ` +
      `from block ${activation} on`
  }
  if (entry.chunk) {
    const { module, offset, data, size } = entry.chunk
    return `${index}  module ${short(module)}, bytes ${offset} to ${offset + data.length} of ${size}`
  }
  return `${index}  ${Object.keys(entry)[0]}`
}

// A stranger's text must not move the cursor.
function text (payload) {
  return Buffer.from(payload).toString().replace(/\p{Cc}/gu, ' ')
}

function short (bytes) {
  return Buffer.from(bytes).toString('hex').slice(0, 8)
}

function openDirectory (directory) {
  if (!fs.existsSync(path.join(directory, 'key'))) throw new Error('no feed in ' + directory)
  return hypercore(directory, { createIfMissing: false })
}

function connect (feed, peer, live) {
  const at = peer.lastIndexOf(':')
  const socket = net.connect(Number(peer.slice(at + 1)), peer.slice(0, at))
  const protocol = feed.replicate(true, { live })
  protocol.on('error', () => {})
  socket.on('error', err => protocol.destroy(err))
  socket.pipe(protocol).pipe(socket)
  return socket
}

function ready (feed) {
  return new Promise((resolve, reject) => feed.ready(err => err ? reject(err) : resolve()))
}

function update (feed, socket) {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the peer closed the connection')))
    feed.update({ ifAvailable: false, minLength: 1 }, err => err ? reject(err) : resolve())
  })
}

function get (feed, index) {
  return new Promise((resolve, reject) => feed.get(index, (err, block) => err ? reject(err) : resolve(block)))
}
