import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'

export const noted = defineEvent('note.written', { 1: z.object({ text: z.string() }) })
