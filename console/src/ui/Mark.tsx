// The product's mark and name.

import mark from '../mark.svg';

export function Mark() {
  return (
    <span className="mark">
      <img src={mark} alt="" width="26" height="26" />
      <span>Tallygate</span>
    </span>
  );
}
