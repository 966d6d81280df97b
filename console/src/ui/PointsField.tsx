// A form's field for an amount of points: a text, so that every digit stays as it was typed.

import { Form, Input } from 'antd';
import { useTexts } from '../i18n/language';
import { microsOf } from './points';
import { partTexts } from './texts';

interface Props {
  /** As the API calls it. */
  readonly name: string;
  readonly label: string;
  readonly extra?: string | undefined;
  readonly isOptional?: boolean;
  /** Which amounts make sense: above nothing unless said otherwise. */
  readonly sign?: 'plus' | 'any' | 'notPlus' | 'notMinus';
  readonly autoFocus?: boolean;
}

const WRONG = {
  plus: 'pointsPlus',
  any: 'pointsAny',
  notPlus: 'pointsNotPlus',
  notMinus: 'pointsNotMinus',
} as const;

export function PointsField(props: Props) {
  const { name, label, extra, isOptional = false, sign = 'plus', autoFocus = false } = props;
  const t = useTexts(partTexts);
  const check = (_rule: unknown, typed: string | undefined): Promise<void> => {
    const isFine = typed?.trim() ? isAmount(typed, sign) : isOptional;
    return isFine ? Promise.resolve() : Promise.reject(new Error(t[WRONG[sign]]));
  };
  return (
    <Form.Item
      name={name}
      label={label}
      extra={extra}
      required={!isOptional}
      rules={[{ validator: check }]}
    >
      <Input inputMode="decimal" autoComplete="off" autoFocus={autoFocus} />
    </Form.Item>
  );
}

/** Whether what was typed is an amount with this sign. */
export function isAmount(typed: string, sign: NonNullable<Props['sign']>): boolean {
  const micros = microsOf(typed);
  if (micros === null) return false;
  const value = BigInt(micros);
  if (sign === 'plus') return value > 0n;
  if (sign === 'notMinus') return value >= 0n;
  return sign === 'notPlus' ? value <= 0n : value !== 0n;
}
