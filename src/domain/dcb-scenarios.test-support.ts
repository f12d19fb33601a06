// The scenarios that dcb.events publishes as examples, in words of our own: what they ask for is theirs, the code is not.
import { z } from 'zod'
import { type CommandDefinition, command, type EventDefinition, event } from '../message/index.ts'
import { type Boundary, boundary, type Projection, projection, reject } from './index.ts'

type Text = Readonly<Record<string, string>>

const texts = z.record(z.string(), z.string())

function tagged<const Type extends string>(type: Type, ...names: readonly string[]): EventDefinition<Type, Text, Text> {
  return event(type, { topic: 'dcb', data: texts, tags: (d) => names.map((name) => `${name}:${d[name]}`) })
}

function commandOf<const Type extends string>(type: Type): CommandDefinition<Type, Text, Text> {
  return command(type, { data: texts })
}

/** Whether an event of a type with a tag stands there. */
function happened(definition: EventDefinition<string, Text, Text>, tag: string): Projection<boolean> {
  return projection({ events: [definition], tags: [tag], initial: false, on: { [definition.type]: () => true } })
}

// Unique username: a name is free again some days after its owner gave it up.
export const Registered: EventDefinition<'AccountRegistered', Text, Text> = tagged('AccountRegistered', 'username')
export const Closed: EventDefinition<'AccountClosed', Text, Text> = tagged('AccountClosed', 'username')
export const Register: CommandDefinition<'RegisterAccount', Text, Text> = commandOf('RegisterAccount')
export const CloseAccount: CommandDefinition<'CloseAccount', Text, Text> = commandOf('CloseAccount')

const retentionDays = 3

const neverTaken: { readonly isTaken: boolean; readonly closedOnDay: number | null } = {
  isTaken: false,
  closedOnDay: null,
}

const usernameOf = (username: string) =>
  projection({
    events: [Registered, Closed],
    tags: [`username:${username}`],
    initial: neverTaken,
    on: {
      AccountRegistered: () => ({ isTaken: true, closedOnDay: null }),
      AccountClosed: (_state, { data }) => ({
        isTaken: false,
        closedOnDay: Number(data['day']),
      }),
    },
  })

export const registerAccount: Boundary = boundary('register-account', {
  command: Register,
  events: [Registered],
  reads: ({ data }) => ({ username: usernameOf(data['username'] as string) }),
  decide: ({ data }, { username }) => {
    if (username.isTaken) return reject('USERNAME_TAKEN')
    const isHeldBack = username.closedOnDay !== null && Number(data['day']) - username.closedOnDay <= retentionDays
    return isHeldBack ? reject('USERNAME_HELD_BACK') : Registered(data)
  },
})

export const closeAccount: Boundary = boundary('close-account', {
  command: CloseAccount,
  events: [Closed],
  reads: ({ data }) => ({ username: usernameOf(data['username'] as string) }),
  decide: ({ data }, { username }) => (username.isTaken ? Closed(data) : reject('UNKNOWN')),
})

// Invoice numbers: without gaps, by the last invoice alone.
export const InvoiceCreated: EventDefinition<'InvoiceCreated', Text, Text> = tagged('InvoiceCreated', 'invoice')
export const CreateInvoice: CommandDefinition<'CreateInvoice', Text, Text> = commandOf('CreateInvoice')

export const createInvoice: Boundary = boundary('create-invoice', {
  command: CreateInvoice,
  events: [InvoiceCreated],
  reads: () => ({
    last: projection({
      events: [InvoiceCreated],
      initial: 0,
      onlyLast: true,
      on: { InvoiceCreated: (_last, { data }) => Number(data['invoice']) },
    }),
  }),
  decide: ({ data }, { last }) => InvoiceCreated({ ...data, invoice: String(last + 1) }),
})

// Opt-in token: a sign-up is confirmed once, by the code that was sent.
export const SignUpStarted: EventDefinition<'SignUpStarted', Text, Text> = tagged('SignUpStarted', 'email', 'otp')
export const SignUpConfirmed: EventDefinition<'SignUpConfirmed', Text, Text> = tagged('SignUpConfirmed', 'email', 'otp')
export const ConfirmSignUp: CommandDefinition<'ConfirmSignUp', Text, Text> = commandOf('ConfirmSignUp')

const notStarted: { readonly name: string | null; readonly isUsed: boolean } = { name: null, isUsed: false }

export const confirmSignUp: Boundary = boundary('confirm-sign-up', {
  command: ConfirmSignUp,
  events: [SignUpConfirmed],
  reads: ({ data }) => ({
    pending: projection({
      events: [SignUpStarted, SignUpConfirmed],
      tags: [`email:${data['email']}`, `otp:${data['otp']}`],
      initial: notStarted,
      on: {
        SignUpStarted: (state, event) => ({ ...state, name: event.data['name'] ?? null }),
        SignUpConfirmed: (state) => ({ ...state, isUsed: true }),
      },
    }),
  }),
  decide: ({ data }, { pending }) => {
    if (pending.name === null) return reject('NO_PENDING_SIGN_UP')
    return pending.isUsed ? reject('CODE_USED') : SignUpConfirmed({ ...data, name: pending.name })
  },
})

// Record duplication: a token that the client makes lets the same order through once.
export const OrderPlaced: EventDefinition<'OrderPlaced', Text, Text> = tagged('OrderPlaced', 'order', 'token')
export const PlaceOrder: CommandDefinition<'PlaceOrder', Text, Text> = commandOf('PlaceOrder')

export const placeOrder: Boundary = boundary('place-order', {
  command: PlaceOrder,
  events: [OrderPlaced],
  reads: ({ data }) => ({ isKnown: happened(OrderPlaced, `token:${data['token']}`) }),
  decide: ({ data }, { isKnown }) => (isKnown ? reject('RESUBMISSION') : OrderPlaced(data)),
})

// Product price: the price that was shown counts if it was valid a short while ago.
export const ProductDefined: EventDefinition<'ProductDefined', Text, Text> = tagged('ProductDefined', 'product')
export const PriceChanged: EventDefinition<'PriceChanged', Text, Text> = tagged('PriceChanged', 'product')
export const ProductsBought: EventDefinition<'ProductsBought', Text, Text> = event('ProductsBought', {
  topic: 'dcb',
  data: texts,
  tags: (d) => Object.keys(d).flatMap((name) => (name.startsWith('product:') ? [name] : [])),
})
export const BuyProducts: CommandDefinition<'BuyProducts', Text, Text> = commandOf('BuyProducts')

const graceMinutes = 10

/** Prices that are good at a minute: the present one, and those that were replaced within the grace period. */
const pricesAt = (product: string, minute: number) =>
  projection({
    events: [ProductDefined, PriceChanged],
    tags: [`product:${product}`],
    initial: [] as { readonly price: string; readonly untilMinute: number }[],
    on: {
      ProductDefined: (_prices, { data }) => [{ price: String(data['price']), untilMinute: 1e9 }],
      PriceChanged: (prices, { data }) => [
        ...prices.map((one) => ({
          ...one,
          untilMinute: Math.min(one.untilMinute, Number(data['minute']) + graceMinutes),
        })),
        // One that is announced for later is not good yet.
        ...(Number(data['minute']) <= minute ? [{ price: String(data['price']), untilMinute: 1e9 }] : []),
      ],
    },
  })

export const buyProducts: Boundary = boundary('buy-products', {
  command: BuyProducts,
  events: [ProductsBought],
  reads: ({ data }) =>
    Object.fromEntries(
      Object.keys(data)
        .filter((name) => name.startsWith('product:'))
        .map((name) => [name, pricesAt(name.slice('product:'.length), Number(data['minute']))]),
    ),
  decide: ({ data }, read) => {
    for (const [name, prices] of Object.entries(read)) {
      const isGood = prices.some(
        ({ price, untilMinute }) => price === data[name] && Number(data['minute']) <= untilMinute,
      )
      if (!isGood) return reject('PRICE_INVALID', `The price of ${name} is another one.`)
    }
    return ProductsBought(data)
  },
})
