'use strict'

// What differs between the generations: hypercore 7 over hypercore-protocol 6 (wire A).

const hypercore = require('hypercore')
const ram = require('random-access-memory')
const crypto = require('hypercore-crypto')

exports.generation = 'hypercore-7'
exports.versions = {
  hypercore: require('hypercore/package.json').version,
  'hypercore-protocol': require('hypercore-protocol/package.json').version
}

exports.noiseKey = () => null

exports.createFeed = function createFeed ({ dir, key, seed, sparse, extensions }) {
  const pair = seed ? crypto.keyPair(Buffer.from(seed, 'hex')) : null
  return hypercore(dir || (() => ram()), pair ? pair.publicKey : key, {
    secretKey: pair && pair.secretKey,
    sparse: !!sparse,
    extensions
  })
}

exports.replicate = function replicate (feeds, initiator, options) {
  const { live = true, timeoutMs, ack, encrypt } = options
  const stream = feeds[0].replicate({ live, ack, timeout: timeoutMs, encrypt, expectedFeeds: feeds.length })
  for (const feed of feeds.slice(1)) exports.attach(feed, initiator, stream, options)
  return stream
}

exports.attach = function attach (feed, initiator, stream, { live = true, ack }) {
  feed.replicate({ live, ack, stream })
}

exports.onhandshake = function onhandshake (stream, cb) {
  stream.on('handshake', () => cb({ remoteId: stream.remoteId.toString('hex'), remoteLive: stream.remoteLive }))
}

exports.onextension = function onextension (feed, names, cb) {
  feed.on('extension', cb)
}

exports.registerExtension = function registerExtension () {
  throw new Error('hypercore 7 names its extensions before the handshake: use the option `extensions`')
}

exports.sendExtension = (feed, name, payload) => feed.extension(name, payload)

exports.onstreamextensions = () => {}

exports.registerStreamExtension = function registerStreamExtension () {
  throw new Error('hypercore 7 has no stream extensions')
}

exports.sendStreamExtension = exports.registerStreamExtension
