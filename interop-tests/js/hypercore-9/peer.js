'use strict'

require('../lib/peer')(require('./adapter'), JSON.parse(process.argv[2] || '{}'))
