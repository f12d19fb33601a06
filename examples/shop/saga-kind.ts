/** Who leads an order to its end: nobody, each service does its part; or a saga that conducts. */
export const sagaKinds = ['choreography', 'orchestration'] as const

export type SagaKind = (typeof sagaKinds)[number]
