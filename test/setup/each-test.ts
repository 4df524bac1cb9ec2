import { aroundEach } from 'vitest'
import { runningTest } from './running-test.ts'

aroundEach((run, test) => runningTest.run(test, run))
