import { defineService } from '../../index.ts'
import { contracts } from './contracts.ts'

export const platform = defineService({ name: 'platform', contracts, handlers: [] })
