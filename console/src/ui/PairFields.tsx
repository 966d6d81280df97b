// A form's list of names with a value each, a line for every pair.

import { Form, Input, InputNumber } from 'antd';
import { useTexts } from '../i18n/language';
import { LineFields } from './LineFields';
import { isWhole, NEW_PAIR, type Pair } from './pairs';
import { partTexts } from './texts';

interface Props {
  /** As the API calls it. */
  readonly field: string;
  readonly title: string;
  readonly hint: string;
  readonly nameLabel: string;
  readonly valueLabel: string;
  readonly addLabel: string;
  /** The value is a whole number from 1 on, and not a text. */
  readonly isNumber?: boolean;
}

const LENGTH_MAX = 256;
const NUMBER_MAX = 1_000_000_000;

export function PairFields(props: Props) {
  const { field: list, title, hint } = props;
  const t = useTexts(partTexts);
  const check = (_rule: unknown, pairs: Pair[] | undefined): Promise<void> =>
    isWhole(pairs ?? []) ? Promise.resolve() : Promise.reject(new Error(t.pairsWrong));
  return (
    <LineFields
      list={list}
      title={title}
      fresh={NEW_PAIR}
      addLabel={props.addLabel}
      addName={`${title}: ${props.addLabel}`}
      removeName={(number) => `${title}: ${t.removeLine(number)}`}
      rules={[{ validator: check }]}
      note={() => <p className="muted">{hint}</p>}
    >
      {(place) => <Line {...props} place={place} />}
    </LineFields>
  );
}

function Line({
  nameLabel,
  valueLabel,
  isNumber = false,
  place,
}: Props & { readonly place: number }) {
  return (
    <>
      <Form.Item name={[place, 'name']} noStyle>
        <Input
          aria-label={nameLabel}
          placeholder={nameLabel}
          maxLength={LENGTH_MAX}
          autoComplete="off"
        />
      </Form.Item>
      <Form.Item name={[place, 'value']} noStyle>
        {isNumber ? (
          <InputNumber
            aria-label={valueLabel}
            placeholder={valueLabel}
            min={1}
            max={NUMBER_MAX}
            precision={0}
          />
        ) : (
          <Input
            aria-label={valueLabel}
            placeholder={valueLabel}
            maxLength={LENGTH_MAX}
            autoComplete="off"
          />
        )}
      </Form.Item>
    </>
  );
}
