import { CloudUploadOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'edge',
  title: { en: 'Edge', 'zh-CN': '边缘', 'zh-TW': '邊緣' },
  icon: CloudUploadOutlined,
  group: 'traffic',
  order: 80,
  need: 'read',
  load: () => import('./Edge'),
});
