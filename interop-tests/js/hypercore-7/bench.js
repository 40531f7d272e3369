'use strict'

require('../lib/bench')(require('./adapter'), require.resolve('./peer'), process.argv.slice(2))
