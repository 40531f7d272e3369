'use strict'

// Newline-delimited JSON on the standard streams.

const readline = require('readline')

exports.emit = function emit (event, fields) {
  process.stdout.write(JSON.stringify({ event, atMs: exports.nowMs(), ...fields }) + '\n')
}

// CLOCK_MONOTONIC in milliseconds: comparable between the processes of one machine.
exports.nowMs = function nowMs () {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}

exports.read = function read (input, online, onend) {
  const lines = readline.createInterface({ input, crlfDelay: Infinity })
  lines.on('line', line => { if (line.trim()) online(JSON.parse(line)) })
  lines.on('close', onend)
}
