// A table's filters. Text waits for a pause in the typing.

import { FilterOutlined } from '@ant-design/icons';
import { Button, Input, Select } from 'antd';
import { useEffect, useState } from 'react';
import { useTexts } from '../i18n/language';
import { partTexts } from './texts';
import { useIsPhone } from './useIsPhone';

const PAUSE_MS = 300;

export type Filter =
  | { readonly kind: 'text'; readonly name: string; readonly label: string }
  | { readonly kind: 'day'; readonly name: string; readonly label: string }
  | {
      readonly kind: 'choice';
      readonly name: string;
      readonly label: string;
      readonly options: readonly { readonly value: string; readonly label: string }[];
    };

type Values = Readonly<Record<string, string>>;
interface Props {
  readonly filters: readonly Filter[];
  readonly values: Values;
  readonly onChange: (values: Values) => void;
}

/** On a phone the others wait behind a button: the rows are what one has come for. */
const PHONE_MOST = 2;

export function TableFilters({ filters, values, onChange }: Props) {
  const t = useTexts(partTexts);
  const isPhone = useIsPhone();
  const [isOpen, setIsOpen] = useState(false);
  if (filters.length === 0) return null;
  const canFold = isPhone && filters.length > PHONE_MOST + 1; // a button for one saves nothing
  const shown = filters.filter(
    ({ name }, place) => !canFold || isOpen || place < PHONE_MOST || values[name],
  );
  const set = (name: string, value: string): void => {
    const rest = Object.fromEntries(Object.entries(values).filter(([one]) => one !== name));
    onChange(value ? { ...rest, [name]: value } : rest);
  };
  return (
    <div className="table-filters" role="search">
      {shown.map((filter) => (
        <FilterField
          key={filter.name}
          filter={filter}
          value={values[filter.name] ?? ''}
          onChange={(value) => {
            set(filter.name, value);
          }}
        />
      ))}
      {canFold ? (
        <Button
          type="link"
          icon={<FilterOutlined />}
          aria-expanded={isOpen}
          onClick={() => {
            setIsOpen(!isOpen);
          }}
        >
          {isOpen ? t.fewerFilters : t.moreFilters}
        </Button>
      ) : null}
      {Object.keys(values).length > 0 ? (
        <Button
          type="link"
          onClick={() => {
            onChange({});
          }}
        >
          {t.clearFilters}
        </Button>
      ) : null}
    </div>
  );
}

interface FieldProps {
  readonly filter: Filter;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function FilterField({ filter, value, onChange }: FieldProps) {
  if (filter.kind === 'text')
    return <TextField label={filter.label} value={value} onChange={onChange} />;
  if (filter.kind === 'day') {
    return (
      <Input
        type="date"
        aria-label={filter.label}
        title={filter.label}
        prefix={<span className="filter-name">{filter.label}</span>}
        value={value}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      />
    );
  }
  return (
    <Select
      aria-label={filter.label}
      placeholder={filter.label}
      allowClear
      popupMatchSelectWidth={false}
      value={value || null}
      options={filter.options.map((one) => ({ ...one }))}
      onChange={(picked: string | null) => {
        onChange(picked ?? '');
      }}
    />
  );
}

function TextField({
  label,
  value,
  onChange,
}: {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}) {
  const [typed, setTyped] = useState(value);
  const [heeded, setHeeded] = useState(value);
  if (heeded !== value) {
    // Changed from outside: cleared, or gone back to.
    setHeeded(value);
    setTyped(value);
  }
  useEffect(() => {
    if (typed === value) return;
    const timer = setTimeout(() => {
      onChange(typed);
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [typed, value, onChange]);
  return (
    <Input
      type="search"
      allowClear
      aria-label={label}
      placeholder={label}
      value={typed}
      onChange={(event) => {
        setTyped(event.target.value);
      }}
    />
  );
}
