import { defineService } from '../../index.ts'
import { contracts } from './contracts.ts'

export const commerce = defineService({ name: 'commerce', contracts, handlers: [] })
